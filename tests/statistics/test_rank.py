"""Rank correlation against scipy."""

from math import isnan

import numpy as np
import pytest
from scipy import stats

from peftlab.statistics.rank import spearman


@pytest.mark.parametrize("levels", [3, 1000])
def test_against_scipy_with_and_without_ties(levels: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(levels, size=(2, 40)).astype(float).tolist()
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_what_does_not_vary_has_no_correlation() -> None:
    assert spearman([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]) == 1
    assert isnan(spearman([1.0, 1.0], [1.0, 2.0]))
    assert isnan(spearman([], []))
    assert isnan(spearman([1.0], [1.0]))
