"""Multiple comparisons with the best: the truly best cell is in the set, and far ones are not."""

from math import nan

import numpy as np
import pytest

from peftlab.statistics.best import best_set, to_best


def drawn(truth: np.ndarray, seeds: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Means, and errors of so many grids."""
    y = np.random.default_rng(0).normal(size=(number, seeds, len(truth))) + truth
    centred = y - y.mean(1, keepdims=True) - y.mean(2, keepdims=True) + y.mean((1, 2), keepdims=True)
    return y.mean(1), (centred**2).sum((1, 2)) / ((seeds - 1) * (len(truth) - 1))


@pytest.mark.parametrize("truth", [np.zeros(24), np.linspace(0, 3, 24), np.r_[np.zeros(23), 2.0]])
def test_the_best_is_in_the_set_95_of_100_times(truth: np.ndarray) -> None:
    means, errors = drawn(truth, 4, 2000)
    held = [
        int(truth.argmax()) in best_set(mean, error, 4, 69) for mean, error in zip(means, errors, strict=True)
    ]
    assert np.mean(held) >= 0.94


def test_what_is_clearly_worse_is_not_in_it() -> None:
    means, errors = drawn(np.r_[np.zeros(23), 6.0], 4, 100)
    assert all(best_set(mean, error, 4, 69) == [23] for mean, error in zip(means, errors, strict=True))


def test_without_an_error_nobody_is_left_out_and_a_hole_is_in_no_set() -> None:
    assert best_set(np.array([0.1, nan, 0.9]), nan, 1, 0) == [0, 2]
    assert best_set(np.array([0.1, 0.9, 0.9]), 0.0, 3, 4) == [1, 2]
    assert best_set(np.array([nan, 0.9]), 0.1, 3, 4) == [1]


def test_intervals_agree_with_the_set() -> None:
    means, errors = drawn(np.linspace(0, 3, 24), 4, 50)
    for mean, error in zip(means, errors, strict=True):
        ends = to_best(mean, error, 4, 69)
        assert [index for index, (_, high) in enumerate(ends) if high > 0] == best_set(mean, error, 4, 69)
        assert all(low <= 0 <= high for low, high in ends)


def test_the_intervals_hold_the_truth_together() -> None:
    truth = np.linspace(0, 3, 12)
    means, errors = drawn(truth, 4, 1000)
    gaps = [truth[index] - np.delete(truth, index).max() for index in range(12)]
    held = [
        all(low <= gap <= high for gap, (low, high) in zip(gaps, to_best(mean, error, 4, 33), strict=True))
        for mean, error in zip(means, errors, strict=True)
    ]
    assert np.mean(held) >= 0.94
