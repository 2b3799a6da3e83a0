"""Exact tests: their error rate with errors that are anything but normal."""

import numpy as np
import pytest

from peftlab.statistics.permutation import permutation_cells, permutation_p


def test_the_error_rate_holds_with_heavy_tails() -> None:
    rng = np.random.default_rng(0)
    p = [permutation_p(rng.standard_cauchy((3, 4, 6)), axis, 99, rng) for _ in range(400) for axis in (1, 2)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_rows_columns_and_cells_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3, 4, 6)) + 3 * np.arange(4)[:, None]
    assert permutation_p(rows, 1, 199, rng) == 1 / 200
    assert permutation_p(rows, 2, 199, rng) > 0.01
    assert permutation_cells(rows.reshape(3, 24), 199, rng) == 1 / 200
    assert permutation_cells(rng.normal(size=(3, 24)), 199, rng) > 0.01


def test_what_a_seed_adds_changes_nothing() -> None:
    y = np.random.default_rng(2).normal(size=(3, 4, 6))
    shifted = y + np.array([0.0, 100.0, -50.0])[:, None, None]
    p = [permutation_p(values, 1, 199, np.random.default_rng(3)) for values in (y, shifted)]
    assert p[0] == p[1]
