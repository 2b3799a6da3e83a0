"""The outer split: counts in closed form, redraws, coverage, and the refused fractions."""

import numpy as np
import pytest

from peftlab.dataset.outer_split import coverage, outer_split
from peftlab.errors import UserError

COUNTS = [50, 20, 5, 1, 0, 2]
LABELS = np.repeat(np.arange(6), COUNTS).astype(np.int64)


def test_stratified_counts() -> None:
    drawn = outer_split(LABELS, fraction=0.2, stratified=True, seed=0, draw=0)
    assert np.bincount(LABELS[drawn], minlength=6).tolist() == [10, 4, 1, 1, 0, 1]
    assert len(set(drawn)) == len(drawn)
    assert (np.diff(drawn) > 0).all()


def test_plain_counts_and_no_stratification() -> None:
    totals = np.zeros(6)
    for draw in range(400):
        drawn = outer_split(LABELS, fraction=0.25, stratified=False, seed=0, draw=draw)
        assert len(set(drawn)) == len(drawn) == 20  # round(0.25 * 78) = 19.5, half up
        totals += np.bincount(LABELS[drawn], minlength=6)
    # hypergeometric means 400 * n_c * 20 / 78; its standard deviation for the class of 20 is 400^0.5 * 1.7
    assert np.abs(totals - 400 * np.array(COUNTS) * 20 / 78).max() < 5 * 20 * 2.0
    assert 400 * 0.15 < totals[3] < 400 * 0.36  # a class of one image is not always in


@pytest.mark.parametrize("stratified", [True, False])
def test_a_redraw_is_a_pure_function_of_seed_and_draw(stratified: bool) -> None:
    def drawn(seed: int, draw: int) -> list[int]:
        return outer_split(LABELS, fraction=0.2, stratified=stratified, seed=seed, draw=draw).tolist()

    assert drawn(0, 3) == drawn(0, 3)
    assert drawn(0, 3) != drawn(0, 4)
    assert drawn(0, 3) != drawn(1, 3)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_a_fraction_that_empties_a_loop(fraction: float) -> None:
    with pytest.raises(UserError, match=rf"^scaling\.outer\.fraction={fraction} .*legal: above 0, below 1"):
        outer_split(LABELS, fraction=fraction, stratified=True, seed=0, draw=0)


def test_coverage_counts_absent_classes() -> None:
    positions = np.array([0, 1, 2, 50, 51, 70, 76], dtype=np.int64)  # 3 of class 0, 2 of 1, 1 of 2, 1 of 5
    assert coverage(LABELS, positions, 6) == {
        "num_classes_covered": 4,
        "num_classes": 6,
        "min_per_class": 0,
        "median_per_class": 1.0,
    }
