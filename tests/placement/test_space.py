"""Genotypes: what can be drawn is exactly what there is, and each operator does what its equation says."""

import random
from collections import Counter

import pytest

from peftlab.placement.space import Space, Stack, pick
from peftlab.site import Site


def draws(make, num=4000):
    rng = random.Random(0)
    return [make(rng) for _ in range(num)]


def depth_of(genes):
    return sum(gene > 0 for gene in genes)


def test_a_sample_is_one_of_all_genotypes_and_uniform_in_depth_and_width(space, all_genotypes):
    found = draws(space.sample)
    assert set(found) <= all_genotypes
    assert len(set(found)) > 1000
    for part in (0, 1):
        depths = Counter(depth_of(genotype[part]) for genotype in found)
        assert abs(depths[2] / 4000 - 0.5) < 0.03
        first = Counter(genotype[part][0] for genotype in found)
        assert all(abs(first[width] / 4000 - 1 / 3) < 0.03 for width in (1, 5, 10))
    assert {hash(genotype) for genotype in found}


@pytest.mark.parametrize(
    ("num_blocks", "depths"), [(12, [3, 6, 9, 12]), (2, [1, 2]), (1, [1]), (10, [3, 5, 8, 10])]
)
def test_depths_are_fractions_rounded_up(num_blocks, depths):
    stack = Stack(
        "lora", "rank", tuple((Site(block, "q"),) for block in range(num_blocks)), ({1: 1},) * num_blocks
    )
    space = Space((stack,), (1,), (0.25, 0.5, 0.75, 1.0))
    assert {depth_of(genotype[0]) for genotype in draws(space.sample, 500)} == set(depths)
    assert depth_of(space.smallest()[0]) == depths[0]


def test_cost_and_smallest_against_all_genotypes(space, all_genotypes):
    assert space.cost(((1, 5, 0, 0), (10, 10, 1, 5))) == 7 * 6 + 20 * 26
    assert space.cost(space.smallest()) == min(map(space.cost, all_genotypes)) == 2 * 7 + 2 * 20
    assert space.smallest() in all_genotypes


def test_a_mutation_without_chance_changes_nothing(space):
    for genotype in draws(space.sample, 50):
        assert space.mutate(genotype, random.Random(1), p_width=0.0, p_depth=0.0) == genotype


def test_mutation_of_widths_keeps_depths_and_has_the_asked_rate(space):
    parent = ((5, 5, 0, 0), (5, 5, 5, 5))
    children = draws(lambda rng: space.mutate(parent, rng, p_width=0.3, p_depth=0.0))
    assert all(tuple(map(depth_of, child)) == (2, 4) for child in children)
    changed = sum(gene not in (0, 5) for child in children for genes in child for gene in genes)
    assert abs(changed / (4000 * 6) - 0.3 * 2 / 3) < 0.01  # one draw in three gives the same width again


def test_mutation_of_depth_cuts_from_the_top_or_adds_random_widths(space, all_genotypes):
    parent = ((5, 10, 0, 0), (1, 5, 10, 1))
    children = draws(lambda rng: space.mutate(parent, rng, p_width=0.0, p_depth=0.4))
    assert set(children) <= all_genotypes
    assert {child[1] for child in children} == {(1, 5, 0, 0), (1, 5, 10, 1)}
    assert {child[0][:2] for child in children} == {(5, 10)}
    grown = Counter(child[0][2:] for child in children if depth_of(child[0]) == 4)
    assert len(grown) == 9
    assert abs(grown.total() / 4000 - 0.4 / 2) < 0.02


def test_crossover_takes_each_part_from_one_parent(space):
    one, other = ((1, 1, 0, 0), (5, 5, 5, 5)), ((10, 10, 10, 10), (1, 1, 0, 0))
    children = Counter(draws(lambda rng: space.crossover(one, other, rng)))
    assert set(children) == {(a, b) for a in (one[0], other[0]) for b in (one[1], other[1])}
    assert all(abs(number / 4000 - 0.25) < 0.03 for number in children.values())


def test_active_and_cells(space):
    genotype = ((5, 1, 0, 0), (10, 1, 5, 1))
    active = space.active(genotype)
    assert active[Site(0, "tokens")] == 5
    assert active[Site(2, "tokens")] == 0
    assert active[Site(2, "q")] == active[Site(2, "v")] == 5
    assert len(active) == 12
    cells = space.cells(genotype)
    assert list(cells.items())[:3] == [
        ("0.q", {"rank": 10}),
        ("0.v", {"rank": 10}),
        ("0.tokens", {"num_tokens": 5}),
    ]
    assert "2.tokens" not in cells
    assert len(cells) == 10


def test_pick_is_uniform():
    counts = Counter(draws(lambda rng: pick("abc", rng)))
    assert set(counts) == set("abc")
    assert all(abs(number / 4000 - 1 / 3) < 0.03 for number in counts.values())
