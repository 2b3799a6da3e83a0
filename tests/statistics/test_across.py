"""Numbers of several data sets against rliable and scipy."""

import numpy as np
import pytest
from scipy import stats

from peftlab.statistics.across import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    profile_band,
    stratified_interval,
)


def scores(seed: int, seeds: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(seeds, 4)) + np.arange(4)


@pytest.mark.parametrize("seeds", [1, 3, 5, 8])
def test_the_interquartile_mean_is_that_of_scipy_and_rliable(seeds: int) -> None:
    from rliable import metrics

    assert interquartile_mean(scores(0, seeds)) == pytest.approx(
        stats.trim_mean(scores(0, seeds), 0.25, axis=None)
    )
    assert interquartile_mean(scores(0, seeds)) == pytest.approx(metrics.aggregate_iqm(scores(0, seeds)))


def test_the_probability_of_improvement_is_that_of_rliable_and_of_mann_and_whitney() -> None:
    from rliable import metrics

    own, other = scores(1), scores(2, 3).round(1)
    own[0, 0] = other[0, 0]
    found = probability_of_improvement(own, other)
    u = [stats.mannwhitneyu(own[:, task], other[:, task]).statistic / 15 for task in range(4)]
    assert found == pytest.approx(np.mean(u))
    assert found == pytest.approx(metrics.probability_of_improvement(own, other))


def test_the_profile_is_the_survival_of_all_scores() -> None:
    levels = np.linspace(-2, 5, 9)
    law = stats.ecdf(scores(3).ravel()).sf
    assert performance_profile(scores(3), levels) == pytest.approx(law.evaluate(levels))


def test_an_interval_over_seeds_holds_the_truth() -> None:
    """300 experiments of 10 seeds on 4 data sets. A bootstrap of few seeds is a little too narrow."""
    rng = np.random.default_rng(4)
    truth = interquartile_mean(rng.normal(size=(200_000, 4)) + np.arange(4))
    held = 0
    for _ in range(60):
        low, high = stratified_interval(interquartile_mean, [rng.normal(size=(10, 4)) + np.arange(4)], rng)
        held += low <= truth <= high
    assert held / 60 >= 0.85


def test_the_band_of_a_profile_is_that_of_each_level() -> None:
    own, levels = scores(6), np.array([-9.0, 1.0, 2.0, 9.0])
    low, high = profile_band(own, levels, np.random.default_rng(0))
    assert (low[0], high[0], low[-1], high[-1]) == (1, 1, 0, 0)

    def above(values: np.ndarray) -> float:
        return float((values > 1.0).mean())

    again = stratified_interval(above, [own], np.random.default_rng(1))
    assert (low[1], high[1]) == pytest.approx(again, abs=0.051)  # steps of one score in twenty
