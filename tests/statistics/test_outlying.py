"""Cells that vary more than the others: found when they do, and seldom when they do not."""

import numpy as np
import pytest

from peftlab.statistics.outlying import outlying


def draws(seed: int, sd: list[float], num_seeds: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_seeds, 1)) + rng.normal(size=(num_seeds, len(sd))) * sd + 50


@pytest.mark.parametrize(("num_seeds", "num_cells"), [(3, 4), (5, 24), (8, 18)])
def test_cells_that_vary_alike_are_seldom_found(num_seeds: int, num_cells: int) -> None:
    """Two wrong in a thousand, at most; 2,000 tables."""
    found = [outlying(draws(seed, [1.0] * num_cells, num_seeds)).any() for seed in range(2000)]
    assert np.mean(found) < 0.004


def test_a_cell_that_collapses_in_some_seeds_is_found_and_the_others_are_not() -> None:
    found = [outlying(draws(seed, [1.0] * 20 + [17.0, 12.0])) for seed in range(200)]
    assert np.mean([own[20:].all() for own in found]) > 0.9
    assert np.mean([own[:20].any() for own in found]) < 0.02


def test_it_is_the_f_test_of_the_largest_against_the_others() -> None:
    from scipy import stats

    value = draws(3, [1.0, 1.0, 1.0, 6.5])
    var = value.var(axis=0, ddof=1)
    p = 4 * stats.f.sf(var[3] / var[:3].mean(), 4, 12)
    assert outlying(value)[3] == (p < 0.001)
    shrunk = value.copy()
    for factor in (0.9, 0.6, 0.4, 0.2):
        shrunk[:, 3] = value[:, 3].mean() + factor * (value[:, 3] - value[:, 3].mean())
        p = 4 * stats.f.sf(factor**2 * var[3] / var[:3].mean(), 4, 12)
        assert outlying(shrunk)[3] == (p < 0.001)


def test_little_is_never_outlying() -> None:
    value = draws(0, [1.0] * 10, 8)
    value[:, 0] = [0, 100, *[np.nan] * 6]  # two runs
    value[:, 1] = [0, *[np.nan] * 7]
    value[:, 2] = np.nan
    assert not outlying(value).any()
    assert not outlying(draws(0, [1.0, 1000.0], 8)).any(), "of two, none is the odd one"
    assert not outlying(np.ones((5, 6))).any()
    assert outlying(np.empty((0, 3))).tolist() == [False] * 3


def test_unequal_numbers_of_runs() -> None:
    value = draws(1, [1.0] * 8 + [40.0], 6)
    value[4:, 8] = np.nan
    value[5, :4] = np.nan
    assert outlying(value).tolist() == [False] * 8 + [True]
