"""The best row and the best column against the best cell, where the truth is known."""

import numpy as np
import pytest

from peftlab.statistics.additivity import additive, additivity

ADDITIVE = np.array([0.0, 1, 2, 5])[:, None] + np.array([0.0, 3, 1])
# row 3 and column 1 are the best on average, and their crossing is far from the best
CROSSED = np.array([[0.0, 9, 0], [0, 8, 0], [0, 8, 0], [12, 1, 14]])


def grid(effect: np.ndarray, seeds: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return effect + rng.normal(size=(seeds, *effect.shape)) + 3 * rng.normal(size=(seeds, 1, 1))


def test_the_prediction_of_an_additive_grid_is_the_grid() -> None:
    assert additive(ADDITIVE) == pytest.approx(ADDITIVE)
    assert additive(np.stack([ADDITIVE, CROSSED]))[1] == pytest.approx(additive(CROSSED))


def test_an_additive_grid() -> None:
    found = [additivity(grid(ADDITIVE, 8, seed)) for seed in range(200)]
    assert np.mean([one.verdict == "not additive" for one in found]) <= 0.09
    assert all(one.predicted == (3, 1) and not one.outside for one in found)
    assert np.mean([one.error_additive < one.error_cells for one in found]) > 0.9, "fewer numbers, less noise"
    assert np.mean([one.low == 0 for one in found]) > 0.9


def test_a_crossed_grid() -> None:
    found = [additivity(grid(CROSSED, 8, seed)) for seed in range(50)]
    rest = CROSSED - additive(CROSSED)
    truth = float((rest**2).mean() ** 0.5)
    assert all(one.verdict == "not additive" and one.error_additive > one.error_cells for one in found)
    assert all((one.predicted, one.best, one.outside) == ((3, 1), (3, 2), True) for one in found)
    assert np.mean([one.interaction for one in found]) == pytest.approx(truth, rel=0.05)
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.88


def test_the_error_of_a_left_out_seed_is_the_noise_and_what_the_model_lacks() -> None:
    """Cell means of n - 1 seeds miss a new one by sigma^2 (1 + 1/(n-1)) (1 - 1/cells)."""
    errors = np.array([additivity(grid(CROSSED, 8, seed)).error_cells for seed in range(200)])
    assert np.mean(errors**2) == pytest.approx((1 + 1 / 7) * (1 - 1 / 12), rel=0.05)
