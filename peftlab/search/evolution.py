"""Evolutionary search of a sub-network under a limit of parameters."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from peftlab.placement.space import Genotype, Space, pick
from peftlab.stream import stream_seed

Scores = dict[Genotype, float]
NUM_TRIES = 10  # draws per wanted child, as published ...
NUM_TRIES_RANDOM = 1000  # ... and per wanted random genotype, where the published code never gives up


@dataclass(frozen=True)
class Evolution:
    """In each of `generations` a population: mutations and crossovers of the best `parents` so far, filled up at random."""

    population: int
    parents: int
    mutations: int
    crossovers: int
    generations: int
    p_width: float
    p_depth: float


def search(
    space: Space, fitness: Callable[[Genotype], float], evolution: Evolution, *, limit: int, seed: int
) -> Iterator[Scores]:
    """Yields after each generation the fitness of all genotypes so far; none is asked for twice, none costs more than `limit`.

    The draws depend on the seed and the fitnesses alone, so a search that is started again goes the same way. It ends early
    when nothing new can be drawn.

    Source: Zhang et al. 2022 (NOAH), arXiv:2206.04673, and its code. Differs: see `Space.mutate`; of equally
    fit genotypes the one with fewer parameters comes first.

    Raises:
        ValueError: if no genotype fits the limit.
    """
    if space.cost(space.smallest()) > limit:
        raise ValueError(f"the smallest sub-network has {space.cost(space.smallest())} parameters")
    rng = random.Random(stream_seed(seed, "search"))
    scores: Scores = {}
    for _ in range(evolution.generations):
        population = _population(
            space, evolution, best(space, scores)[: evolution.parents], scores, limit, rng
        )
        if not population:
            return
        for genotype in population:
            scores[genotype] = fitness(genotype)
        yield scores


def best(space: Space, scores: Scores) -> list[Genotype]:
    """All genotypes from the fittest; of equals the one with fewer parameters first."""
    return sorted(scores, key=lambda genotype: (-scores[genotype], space.cost(genotype)))


def _population(
    space: Space,
    evolution: Evolution,
    parents: list[Genotype],
    scores: Scores,
    limit: int,
    rng: random.Random,
) -> list[Genotype]:
    found: dict[Genotype, None] = {}

    def add(num: int, num_tries: int, make: Callable[[], Genotype]) -> None:
        wanted = len(found) + num
        for _ in range(num * num_tries):
            if len(found) == wanted:
                return
            genotype = make()
            if genotype not in scores and space.cost(genotype) <= limit:
                found[genotype] = None

    def mutant() -> Genotype:
        return space.mutate(pick(parents, rng), rng, p_width=evolution.p_width, p_depth=evolution.p_depth)

    if parents:
        add(evolution.mutations, NUM_TRIES, mutant)
        add(
            evolution.crossovers,
            NUM_TRIES,
            lambda: space.crossover(pick(parents, rng), pick(parents, rng), rng),
        )
    add(evolution.population - len(found), NUM_TRIES_RANDOM, lambda: space.sample(rng))
    if not found and not scores:  # under a tight limit a random draw may never fit
        found[space.smallest()] = None
    return list(found)
