"""Wilson's interval against scipy.stats, and the cases without one."""

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from peftlab.evaluate.proportion import wilson

LEVELS = st.sampled_from([0.8, 0.95, 0.99])


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), LEVELS)
def test_wilson_equals_scipy(trial: tuple[int, int], level: float) -> None:
    k, n = trial
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k / n, float(n), level) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.floats(0, 1), st.floats(0.5, 1e6), LEVELS)
def test_wilson_solves_its_equation(p: float, num: float, level: float) -> None:
    """Both bounds b satisfy |p - b| = z sqrt(b (1-b) / n), also for a fractional number of trials."""
    low, high = wilson(p, num, level)
    z = stats.norm.ppf((1 + level) / 2)
    assert 0 <= low <= p <= high <= 1
    for bound in (low, high):
        assert (p - bound) ** 2 == pytest.approx(z**2 * bound * (1 - bound) / num, abs=1e-9)


def test_wilson_at_the_ends_is_exact() -> None:
    assert wilson(0.0, 7.0)[0] == 0.0
    assert wilson(1.0, 7.0)[1] == 1.0


def test_wilson_without_a_trial_is_nan() -> None:
    assert all(map(isnan, wilson(0.5, 0.0)))
    assert all(map(isnan, wilson(nan, 10.0)))


@pytest.mark.parametrize(("p", "level"), [(1.2, 0.95), (-0.1, 0.95), (0.5, 0.0), (0.5, 1.0), (0.5, 95.0)])
def test_wilson_refuses(p: float, level: float) -> None:
    with pytest.raises(ValueError, match=str(p) if level == 0.95 else str(level)):
        wilson(p, 10.0, level)
