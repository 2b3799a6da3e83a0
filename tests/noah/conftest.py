"""A space small enough to be enumerated."""

import itertools

import pytest

from peftlab.noah.space import Space, Stack
from peftlab.site import Site

WIDTHS = (1, 5, 10)


@pytest.fixture
def space():
    """Prompts at `tokens` (7 numbers a prompt) and LoRA at q and v (20 a rank) in 4 blocks; depths 2 and 4."""
    stacks = []
    for name, option, positions, step in (
        ("prompt", "num_tokens", ["tokens"], 7),
        ("lora", "rank", ["q", "v"], 20),
    ):
        sites = tuple(tuple(Site(block, position) for position in positions) for block in range(4))
        costs = tuple({width: step * width for width in WIDTHS} for _ in range(4))
        stacks.append(Stack(name, option, sites, costs))
    return Space(tuple(stacks), WIDTHS, (0.5, 1.0))


@pytest.fixture
def all_genotypes(space):
    """(3^2 + 3^4)^2 of them."""
    genes = [
        (*widths, *(0 for _ in range(4 - depth)))
        for depth in (2, 4)
        for widths in itertools.product(WIDTHS, repeat=depth)
    ]
    return set(itertools.product(genes, genes))
