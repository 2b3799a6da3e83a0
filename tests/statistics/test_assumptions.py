"""Doubts about a pooled error where there is reason, and few where there is none."""

from math import isnan

import numpy as np

from peftlab.statistics.assumptions import assumptions


def test_normal_cells_of_one_spread_raise_few_doubts() -> None:
    rng = np.random.default_rng(0)
    found = [assumptions(rng.normal(size=(8, 24)) + 3 * rng.normal(size=(8, 1))) for _ in range(300)]
    assert np.mean([len(one.doubts) > 0 for one in found]) <= 0.04


def test_a_heavy_tail_and_a_wild_cell_are_seen() -> None:
    rng = np.random.default_rng(1)
    (normal,) = assumptions(rng.standard_cauchy((8, 24))).doubts[:1]
    assert normal.startswith("residuals are not normal")
    value = rng.normal(size=(8, 24)) * np.r_[np.ones(20), np.full(4, 12.0)]
    assert any(text.startswith("cells vary differently") for text in assumptions(value).doubts)


def test_two_seeds_and_no_variation_say_nothing() -> None:
    for value in (np.random.default_rng(2).normal(size=(2, 24)), np.zeros((4, 6))):
        found = assumptions(value)
        assert isnan(found.normal)
        assert isnan(found.spread)
        assert found.doubts == []
