"""Critical values against scipy's multivariate t and published tables; adjusted p-values against statsmodels."""

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from peftlab.statistics.comparisons import benjamini_hochberg, dunnett, dunnett_cdf, holm, tukey

# Dunnett 1964, "New tables for multiple comparisons with a control", 5 %: (comparisons, df) -> two-sided, one-sided
TABLE = {(2, 10): (2.57, 2.15), (5, 20): (2.73, 2.39), (9, 60): (2.77, 2.48), (3, inf): (2.35, 2.06)}


@pytest.mark.parametrize(("num", "df"), TABLE)
def test_the_published_tables(num: int, df: float) -> None:
    two, one = TABLE[num, df]
    assert dunnett(num, df, sides=2) == pytest.approx(two, abs=0.006)
    assert dunnett(num, df, sides=1) == pytest.approx(one, abs=0.006)


@pytest.mark.parametrize(("num", "df"), [(1, 3), (2, 7), (4, 23)])
@pytest.mark.parametrize("t", [0.5, 2.0, 3.5])
def test_the_distribution_is_a_multivariate_t_with_correlation_one_half(num: int, df: int, t: float) -> None:
    shape = np.full((num, num), 0.5) + 0.5 * np.eye(num)
    law = stats.multivariate_t(np.zeros(num), shape, df, seed=0)
    assert dunnett_cdf(t, num, df, sides=1) == pytest.approx(float(law.cdf(np.full(num, t))), abs=1e-3)


@pytest.mark.parametrize("df", [1, 2, 5, 46, inf])
def test_one_comparison_is_students(df: float) -> None:
    for level in (0.8, 0.95, 0.99):
        expected = stats.norm.ppf((1 + level) / 2) if df == inf else stats.t.ppf((1 + level) / 2, df)
        assert dunnett(1, df, level) == pytest.approx(expected, rel=2e-4)


def test_two_means_are_students_too() -> None:
    assert tukey(2, 9) == pytest.approx(stats.t.ppf(0.975, 9), rel=1e-5)
    assert isnan(tukey(1, 9))
    assert isnan(dunnett(0, 9))


@pytest.mark.parametrize("seeds", [3, 8])
def test_no_difference_to_the_baseline_is_wrong_in_95_of_100_grids(seeds: int) -> None:
    """Family-wise coverage over 23 differences, 4,000 grids without any true difference."""
    rng = np.random.default_rng(0)
    critical = dunnett(23, (seeds - 1) * 23)
    y = rng.normal(size=(4000, seeds, 24))
    centred = y - y.mean(1, keepdims=True) - y.mean(2, keepdims=True) + y.mean((1, 2), keepdims=True)
    error = (centred**2).sum((1, 2)) / ((seeds - 1) * 23)
    mean = y.mean(1)
    largest = np.abs(mean[:, 1:] - mean[:, :1]).max(1) / np.sqrt(2 * error / seeds)
    assert (largest <= critical).mean() == pytest.approx(0.95, abs=0.011)


P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(P)
def test_adjusted_p_values_equal_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_an_unknown_p_value_stays_unknown_and_is_not_counted() -> None:
    for adjust in (holm, benjamini_hochberg):
        found = adjust([0.01, nan, 0.04])
        assert isnan(found[1])
        assert [found[0], found[2]] == adjust([0.01, 0.04])
        assert adjust([]) == []
