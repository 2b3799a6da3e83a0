"""The two sources of variance against populations in which both are known."""

from math import isnan, sqrt

import numpy as np
import pytest

from peftlab.statistics.two_variances import two_variances


def runs(rng: np.random.Generator, seeds: int, images: int, by_seed: float) -> tuple[np.ndarray, np.ndarray]:
    """Right or wrong, by a difficulty of each image and a shift of each run."""
    label = np.arange(images) % 3
    difficulty = rng.normal(size=images)
    shift = by_seed * rng.normal(size=(seeds, 1))
    return (difficulty + shift + rng.normal(size=(seeds, images)) > -1).astype(float), label


def test_the_parts_and_the_value() -> None:
    rng = np.random.default_rng(0)
    right, label = runs(rng, 4, 300, 0.3)
    found = two_variances(right, label, rng)
    each = np.array([[run[label == c].mean() for c in range(3)] for run in right])
    assert found.value == pytest.approx(each.mean())
    assert found.by_seed == pytest.approx(each.mean(1).std(ddof=1) / 2)
    image = sum(right.mean(0)[label == c].var(ddof=1) / (label == c).sum() for c in range(3))
    assert found.by_image == pytest.approx(sqrt(image) / 3)
    assert found.low < found.value < found.high


def test_an_interval_over_both_holds_the_truth_where_one_over_seeds_does_not() -> None:
    """500 experiments of 8 runs on 150 images: drawn images and drawn seeds."""
    rng = np.random.default_rng(1)
    truth = float(np.mean(rng.normal(size=10**6) * sqrt(2 + 0.1**2) > -1))
    both = seeds_only = 0
    for _ in range(500):
        right, label = runs(rng, 8, 150, 0.1)
        found = two_variances(right, label, rng)
        both += found.low <= truth <= found.high
        seeds_only += abs(found.value - truth) <= 2.365 * found.by_seed
    assert both / 500 >= 0.93
    assert seeds_only / 500 < 0.8


def test_one_seed_has_images_alone_and_nothing_has_nothing() -> None:
    rng = np.random.default_rng(2)
    right, label = runs(rng, 1, 90, 0.0)
    found = two_variances(right, label, rng)
    assert isnan(found.by_seed)
    assert found.by_image > 0
    assert isnan(two_variances(np.zeros((0, 5)), np.zeros(5, dtype=int), rng).value)
    single = two_variances(np.ones((2, 1)), np.zeros(1, dtype=int), rng)
    assert (single.value, single.by_image) == (1, 0)
