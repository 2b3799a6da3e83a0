"""The score interval of a mean of proportions: its equation, Wilson's as its smallest case, and how often it holds the truth."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from peftlab.evaluate.proportion import score_interval

LEVELS = st.sampled_from([0.8, 0.95, 0.99])
TRIAL = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def arrays(trials: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    correct, total = np.array(trials, dtype=np.int64).T
    return correct, total


@given(TRIAL, LEVELS)
def test_of_one_class_it_is_wilsons(trial: tuple[int, int], level: float) -> None:
    expected = stats.binomtest(*trial).proportion_ci(level, method="wilson")
    assert score_interval(*arrays([trial]), level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.lists(TRIAL, min_size=1, max_size=8))
def test_it_holds_the_mean_and_mirrors(trials: list[tuple[int, int]]) -> None:
    correct, total = arrays(trials)
    low, high = score_interval(correct, total)
    assert 0 <= low <= (correct / total).mean() + 1e-12
    assert (correct / total).mean() - 1e-12 <= high <= 1
    assert score_interval(total - correct, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize("trials", [[(7, 10), (150, 200)], [(1, 5), (9, 10), (30, 40)], [(3, 3), (20, 30)]])
def test_its_ends_solve_the_score_equation(trials: list[tuple[int, int]]) -> None:
    """The most likely proportions of a given mean by a general optimiser, not by the multiplier."""
    correct, total = arrays(trials)

    def constrained(mean: float) -> np.ndarray:
        def unlikely(p: np.ndarray) -> float:
            return -float(stats.binom.logpmf(correct, total, p).sum())

        rule = {"type": "eq", "fun": lambda p: p.mean() - mean}
        start = np.full(len(total), mean)
        found = optimize.minimize(
            unlikely, start, bounds=[(1e-9, 1 - 1e-9)] * len(total), constraints=[rule], tol=1e-12
        )
        return np.asarray(found.x)

    for end in score_interval(correct, total):
        p = constrained(end)
        variance = (p * (1 - p) / total).sum() / len(total) ** 2
        z = ((correct / total).mean() - end) / variance**0.5
        assert abs(z) == pytest.approx(stats.norm.ppf(0.975), abs=2e-3)


@pytest.mark.parametrize(
    ("total", "p"),
    [
        ([5, 200, 200, 200], [0.8, 0.8, 0.8, 0.8]),
        ([5, 200, 200, 200], [0.97, 0.97, 0.97, 0.97]),
        ([5, 200, 200, 200], [0.5, 0.9, 0.9, 0.9]),
        ([5, 200, 200, 200], [0.9, 0.5, 0.5, 0.5]),
        ([2, 3, 100, 100], [0.3, 0.6, 0.95, 0.95]),
        ([90] * 10, [0.99, 0.9, 0.88, 0.8, 0.7, 0.6, 0.5, 0.9, 0.8, 0.7]),
        ([5] * 10, [0.9] * 10),
    ],
)
def test_it_holds_the_truth_as_often_as_said(total: list[int], p: list[float]) -> None:
    """2,000 draws; 92 to 96 of 100 (the pooled Wilson interval before it: 85 to 99, and up to 1.4 times as wide)."""
    num, rng = np.array(total), np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        low, high = score_interval(rng.binomial(num, p), num)
        held += low - 1e-9 <= np.mean(p) <= high + 1e-9
    assert 0.905 <= held / 2000 <= 0.98


def test_the_ends_are_exact_and_nothing_has_none() -> None:
    assert score_interval(np.array([0, 0]), np.array([3, 9]))[0] == 0.0
    assert score_interval(np.array([3, 9]), np.array([3, 9]))[1] == 1.0
    none = np.zeros(0, dtype=np.int64)
    assert all(map(isnan, score_interval(none, none)))


@pytest.mark.parametrize(("correct", "total"), [([0], [0]), ([3], [2]), ([-1], [2])])
def test_what_is_no_count_is_refused(correct: list[int], total: list[int]) -> None:
    with pytest.raises(ValueError, match="each class needs a trial"):
        score_interval(np.array(correct), np.array(total))
