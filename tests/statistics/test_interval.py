"""Student's t intervals against scipy.stats, and the cases without one."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from peftlab.errors import UserError
from peftlab.statistics.interval import Interval, is_clear, mean_interval, paired_difference, score_difference

LEVELS = st.sampled_from([0.8, 0.95, 0.99])


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9), LEVELS)
def test_mean_interval_equals_scipy(values: list[float], level: float) -> None:
    mean, half, n = mean_interval(values, level)
    assert (mean, n) == (pytest.approx(np.mean(values), abs=1e-12), len(values))
    quantile = stats.t.ppf((1 + level) / 2, len(values) - 1)
    assert half == pytest.approx(quantile * np.std(values, ddof=1) / len(values) ** 0.5, abs=1e-12)


def test_mean_interval_of_a_known_sample() -> None:
    values = [0.61, 0.64, 0.70]
    low, high = stats.t.interval(0.95, 2, loc=0.65, scale=stats.sem(values))
    interval = mean_interval(values)
    assert (interval.mean - interval.half, interval.mean + interval.half) == pytest.approx((low, high))
    assert interval.half == pytest.approx(0.11384, abs=1e-5)  # 4.30265 * 0.0458258 / sqrt(3)


def test_mean_interval_without_an_interval() -> None:
    mean, half, n = mean_interval([0.5])
    assert (mean, n, isnan(half)) == (0.5, 1, True)
    mean, half, n = mean_interval([])
    assert (isnan(mean), isnan(half), n) == (True, True, 0)


@pytest.mark.parametrize("values", [[nan], [0.5, nan], [0.5, nan, 0.7]])
def test_a_nan_is_not_dropped_silently(values: list[float]) -> None:
    mean, half, n = mean_interval(values)
    assert (isnan(mean), isnan(half), n) == (True, True, len(values))


def test_paired_difference_equals_the_paired_t_test() -> None:
    cell, baseline = {0: 0.61, 1: 0.70, 2: 0.66, 5: 0.9}, {2: 0.60, 1: 0.68, 0: 0.60, 7: 0.1}
    expected = stats.ttest_rel([0.61, 0.70, 0.66], [0.60, 0.68, 0.60]).confidence_interval(0.9)
    mean, half, n = paired_difference(cell, baseline, 0.9)
    assert (mean - half, mean + half) == pytest.approx((expected.low, expected.high))
    assert (mean, n) == (pytest.approx(0.03), 3)


@given(st.dictionaries(st.integers(0, 5), st.floats(0, 1), min_size=2))
def test_paired_difference_of_a_cell_with_itself_is_zero(cell: dict[int, float]) -> None:
    assert paired_difference(cell, cell) == Interval(0.0, 0.0, len(cell))


def test_paired_difference_of_one_common_seed_has_no_interval() -> None:
    mean, half, n = paired_difference({0: 0.5, 1: 0.9}, {0: 0.25, 2: 0.3})
    assert (mean, n, isnan(half)) == (0.25, 1, True)


def test_paired_difference_needs_a_common_seed() -> None:
    with pytest.raises(UserError, match=r"\[0, 1\].*\[2, 3\]"):
        paired_difference({1: 0.5, 0: 0.5}, {2: 0.5, 3: 0.5})


def test_the_difference_of_two_proportions_is_newcombe_s() -> None:
    """His example: 56/70 and 48/80, difference 0.2, method 10 gives 0.0524 to 0.3339."""
    own, other = (
        (k / n, *stats.binomtest(k, n).proportion_ci(method="wilson")) for k, n in ((56, 70), (48, 80))
    )
    assert score_difference(own, other) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("bounds", "clear"),
    [
        ((1.0, 0.1, 2.0), True),
        ((-1.0, -2.0, -0.1), True),
        ((1.0, -1.0, 3.0), False),
        ((1.0, nan, nan), False),
    ],
)
def test_a_difference_is_significant_if_its_interval_leaves_out_0(
    bounds: tuple[float, ...], clear: bool
) -> None:
    assert is_clear(bounds) is clear
