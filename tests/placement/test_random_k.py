"""placement=random_k: every set equally likely, and draws of one seed are paired."""

from collections import Counter
from itertools import combinations
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.depth import block_labels
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.random_k import random_k
from peftlab.site import LINEAR as EVERY
from peftlab.site import Site

VIT = ("q", "k", "v", "out", "mlp1", "gate", "mlp2")
LINEAR = tuple(name for name in EVERY if name in VIT)  # in the order of the house

ALL = [Site(block, name) for block in range(12) for name in LINEAR]


def draw(keep: int, candidates: list[Site] = ALL, **options: Any) -> list[Site]:
    full = {"depth": "all", "position": "all", "seed": 0, **options}
    placed = random_k(Ground(block_labels(12), LINEAR, candidates), keep=keep, **full)
    cells = placed.cells
    assert placed.scores == {}, "chance is no judgement"
    assert not placed.is_open
    assert all(value == {} for value in cells.values())
    return list(cells)


@given(st.integers(1, len(ALL)), st.integers(0, 2**31))
def test_keep_sites_in_order_and_the_same_again(keep: int, seed: int) -> None:
    sites = draw(keep, seed=seed)
    assert len(sites) == keep
    assert sites == [site for site in ALL if site in set(sites)]
    assert draw(keep, list(reversed(ALL)), seed=seed) == sites


@given(st.integers(1, len(ALL) - 1), st.integers(0, 99))
def test_a_larger_keep_adds_sites(keep: int, seed: int) -> None:
    assert set(draw(keep, seed=seed)) < set(draw(keep + 1, seed=seed))


def test_other_candidates_do_not_change_which_of_two_comes_first() -> None:
    q = [site for site in ALL if site.position == "q"]
    order = [next(iter(set(draw(k)) - set(draw(k - 1) if k > 1 else []))) for k in range(1, len(ALL) + 1)]
    own = [next(iter(set(draw(k, q)) - set(draw(k - 1, q) if k > 1 else []))) for k in range(1, len(q) + 1)]
    assert own == [site for site in order if site in q]
    assert draw(3, position="q") == draw(3, q)


@pytest.mark.slow
def test_every_set_is_equally_likely() -> None:
    """Chi-square of 10 sets of 2 of 5 sites over 5000 seeds, against its 99.9 % quantile at 9 degrees of freedom."""
    five = ALL[:5]
    count = Counter(tuple(draw(2, five, seed=seed)) for seed in range(5000))
    assert set(count) == set(combinations(five, 2))
    mean = 5000 / comb(5, 2)
    assert sum((number - mean) ** 2 / mean for number in count.values()) < 27.88


def test_depth_and_position_restrict() -> None:
    assert set(draw(4, depth="0-1", position=["q", "v"])) == {Site(b, n) for b in (0, 1) for n in ("q", "v")}
    assert {site.block for site in draw(14, depth="-2--1")} == {10, 11}


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("placement.keep=85 is more than the 84 sites to choose from; legal: 1 to 84", {"keep": 85}),
        (
            "placement.keep=3 is more than the 2 sites",
            {"keep": 3, "depth": 4, "position": "attn_qv"},
        ),
        ("placement.position=ffn is not a position", {"keep": 1, "position": "ffn"}),
        ("placement.depth=12 is outside the backbone", {"keep": 1, "depth": 12}),
    ],
)
def test_refused(words: str, options: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        draw(**options)
    assert str(error.value).startswith(words)


def test_blocks_of_stages_that_are_not_known_yet() -> None:
    """A config is checked before its backbone: 2.3 names no block of an unknown depth, and nothing is refused."""
    labels = block_labels(None)
    candidates = [Site(block, "q") for block in range(len(labels))]
    assert random_k(
        Ground(labels, LINEAR, candidates), keep=4, depth="2.3", position="all", seed=0
    ) == Placement({})
