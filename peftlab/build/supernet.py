"""A model whose sites share their weights with all narrower ones: every training step works on a random sub-network."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from peftlab.errors import UserError
from peftlab.peft.delta import Delta, Elastic
from peftlab.placement.space import Space, Stack
from peftlab.site import Site


def space_of(
    deltas: Mapping[Site, Delta], placed: Mapping[str, Iterable[Site]], placement: Mapping[str, Any]
) -> Space:
    """The sub-networks of these deltas: `placed` has the sites of each part of the method, `placement` widths and depths.

    Raises:
        UserError: if a part cannot work at a smaller width, or is not as wide as the widest choice.
    """
    widths = placement["widths"]
    stacks = tuple(_stack(deltas, name, sites, widths) for name, sites in placed.items())
    return Space(stacks, tuple(widths), tuple(placement["depths"]))


def sampler_of(space: Space) -> Callable[[torch.Generator], dict[Site, int]]:
    """Draws the sub-network of a training step: the width of every site, 0 where it is off."""
    return partial(_draw, space)


def _draw(space: Space, rng: torch.Generator) -> dict[Site, int]:
    seed = int(torch.randint(2**62, (), generator=rng))
    return space.active(space.sample(random.Random(seed)))


def _stack(deltas: Mapping[Site, Delta], name: str, sites: Iterable[Site], widths: Sequence[int]) -> Stack:
    by_block: dict[int, list[Site]] = {}
    for site in sorted(sites):
        delta = deltas.get(site)
        if delta is None or not isinstance(delta, Elastic):
            kind = "a selection of weights" if delta is None else type(delta).__name__
            raise UserError(
                f"placement=supernet: the part {name} is {kind}, which has no smaller width; legal: Lora, Dora, Pissa, Adapter, Prompt"
            )
        if delta.width != widths[-1]:
            raise UserError(
                f"placement.widths={list(widths)} ends at {widths[-1]}, and {name} at {site} has"
                f" {delta.width_key}={delta.width}; legal: the same number"
            )
        by_block.setdefault(site.block, []).append(site)
    groups = tuple(tuple(group) for _, group in sorted(by_block.items()))
    if not groups:
        raise UserError(f"placement=supernet: the part {name} has no site; legal: a site of every part")
    costs = tuple(
        {width: sum(_cost(deltas[site], width) for site in group) for width in widths} for group in groups
    )
    return Stack(name, str(deltas[groups[0][0]].width_key), groups, costs)


def _cost(delta: Delta, width: int) -> int:
    assert isinstance(delta, Elastic)
    return sum(value.numel() for value in delta.used(width).values())
