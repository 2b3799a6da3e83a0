"""The sub-networks of a supernet, as plain tuples: how they are drawn, changed, mixed and counted."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from peftlab.site import Site, site_order

# for each part of the method the width in each of its blocks, from the bottom; 0 above the part's depth
Genotype = tuple[tuple[int, ...], ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """One part of the method in its blocks from the bottom: the sites that share a width, and what a width costs there.

    `option` is the part's word for its width: rank, bottleneck, num_tokens.
    """

    name: str
    option: str
    sites: tuple[tuple[Site, ...], ...]
    costs: tuple[dict[int, int], ...]


@dataclass(frozen=True)
class Space:
    """For each part a depth, which is how many of its blocks from the bottom are on, and in each of these a width.

    `depths` are fractions of the blocks (rounded up), `widths` ascend. What is off is 0 and nothing else, so two different
    genotypes are two different networks.

    Source: Zhang et al. 2022 (NOAH), arXiv:2206.04673.
    """

    stacks: tuple[Stack, ...]
    widths: tuple[int, ...]
    depths: tuple[float, ...]

    def sample(self, rng: random.Random) -> Genotype:
        """Depths and widths, each uniformly."""
        return tuple(
            self._resize((), len(stack.sites), pick(self._depths(stack), rng), rng) for stack in self.stacks
        )

    def mutate(self, genotype: Genotype, rng: random.Random, *, p_width: float, p_depth: float) -> Genotype:
        """Each depth is drawn anew with p_depth (blocks that are added get random widths), then each width with p_width.

        Source: the mutation of AutoFormer, arXiv:2107.00651. Differs: NOAH's code draws the depth of a part
        with p_width p_depth, and no width but those of added blocks, so most of its children equal their parent.
        """
        child = []
        for stack, genes in zip(self.stacks, genotype, strict=True):
            depth = pick(self._depths(stack), rng) if rng.random() < p_depth else _depth(genes)
            genes = self._resize(genes, len(genes), depth, rng)
            child.append(
                tuple(pick(self.widths, rng) if gene and rng.random() < p_width else gene for gene in genes)
            )
        return tuple(child)

    def crossover(self, one: Genotype, other: Genotype, rng: random.Random) -> Genotype:
        """Each part from one of the two parents, as in NOAH's code."""
        return tuple(pick(pair, rng) for pair in zip(one, other, strict=True))

    def cost(self, genotype: Genotype) -> int:
        """Parameters of the deltas; the head is the same for all."""
        pairs = [
            pair
            for stack, genes in zip(self.stacks, genotype, strict=True)
            for pair in zip(stack.costs, genes, strict=True)
        ]
        return sum(costs[gene] for costs, gene in pairs if gene)

    def smallest(self) -> Genotype:
        """The cheapest genotype."""
        return tuple(
            (self.widths[0],) * low + (0,) * (len(stack.sites) - low)
            for stack in self.stacks
            for low in self._depths(stack)[:1]
        )

    def active(self, genotype: Genotype) -> dict[Site, int]:
        """The width of every site."""
        return {
            site: gene
            for stack, genes in zip(self.stacks, genotype, strict=True)
            for sites, gene in zip(stack.sites, genes, strict=True)
            for site in sites
        }

    def cells(self, genotype: Genotype) -> dict[str, dict[str, int]]:
        """The same as a placement: {"0.q": {"rank": 5}, ...}."""
        option = {site: stack.option for stack in self.stacks for sites in stack.sites for site in sites}
        active = self.active(genotype)
        return {
            str(site): {option[site]: active[site]} for site in sorted(option, key=site_order) if active[site]
        }

    def _depths(self, stack: Stack) -> list[int]:
        num = len(stack.sites)
        return sorted({max(1, math.ceil(depth * num - 1e-9)) for depth in self.depths})

    def _resize(self, genes: Sequence[int], num: int, depth: int, rng: random.Random) -> tuple[int, ...]:
        kept = [gene for gene in genes[:depth] if gene]
        added = [pick(self.widths, rng) for _ in range(depth - len(kept))]
        return (*kept, *added, *(0 for _ in range(num - depth)))


def pick(items: Sequence[T], rng: random.Random) -> T:
    """One of them, uniformly; of all of `random.Random`, only `random()` is promised to stay the same."""
    return items[int(rng.random() * len(items))]


def _depth(genes: tuple[int, ...]) -> int:
    return sum(gene > 0 for gene in genes)
