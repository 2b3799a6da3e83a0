"""Many comparisons at once: critical values of the largest of them, and p-values that know how many there were.

Differences of C means with one pooled variance: to a baseline they have correlation 1/2 (Dunnett 1955), and between all
pairs the largest is the studentised range (Tukey 1953).
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from math import inf, isnan, nan, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr

NODES = 160  # of Gauss and Legendre, in each of two dimensions: eight digits


def dunnett_cdf(t: float, num: int, df: float | int, sides: int = 2) -> float:
    """Probability that each of `num` differences to one baseline is below t (sides=1), or within -t..t (sides=2).

        integral over s, z of  phi(z) [Phi(z + sqrt(2) t s) - (sides=2) Phi(z - sqrt(2) t s)]^num

    s^2 is chi^2_df / df: the pooled variance. Source: Dunnett 1955, "A multiple comparison procedure for comparing several
    treatments with a control".
    """
    z, weight, s, share = _nodes(df)
    reach = sqrt(2) * t * s[:, None]
    inside = ndtr(z + reach) - (ndtr(z - reach) if sides == 2 else 0.0)
    return float(share @ (np.clip(inside, 0.0, 1.0) ** num @ weight))


@cache
def _nodes(df: float | int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where the baseline's mean and the standard deviation are taken, with their weights; both sum to 1."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    z = 8.5 * x
    weight = 8.5 * w * np.exp(-(z**2) / 2) / sqrt(2 * np.pi)
    if df == inf:
        return z, weight, np.ones(1), np.ones(1)
    u = (x + 1) / 2  # probabilities of s, from above
    return z, weight, np.sqrt(chdtri(df, u) / df), w / 2


@cache
def dunnett(num: int, df: float | int, level: float = 0.95, sides: int = 2) -> float:
    """The critical value: all of `num` differences to a baseline lie within it at once with probability `level`."""
    if num < 1 or df <= 0:
        return nan
    return float(brentq(lambda t: dunnett_cdf(t, num, df, sides) - level, 0.0, 1e4, xtol=1e-9))


@cache
def tukey(num: int, df: float | int, level: float = 0.95) -> float:
    """The critical value of all pairs of `num` means, for a difference over its standard error: q / sqrt(2)."""
    from scipy.stats import studentized_range

    if num < 2 or df <= 0:
        return nan
    return float(studentized_range.ppf(level, num, df)) / sqrt(2)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values of claims that were named beforehand: the chance of one false claim stays at the level.

    p_(i) -> max_{j <= i} min(1, (m - j + 1) p_(j)). NaN stays NaN and is not counted. Source: Holm 1979.
    """
    return _adjusted(p, lambda rank, of: float(of - rank + 1), upwards=True)


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values of a map: the expected share of false ones among the marked stays at the level.

    p_(i) -> min_{j >= i} min(1, m p_(j) / j). NaN stays NaN and is not counted. Source: Benjamini and Hochberg 1995.
    """
    return _adjusted(p, lambda rank, of: of / rank, upwards=False)


def _adjusted(p: Sequence[float], factor: Callable[[int, int], float], upwards: bool) -> list[float]:
    known = [index for index, value in enumerate(p) if not isnan(value)]
    order = sorted(known, key=lambda index: p[index])
    raw = [min(1.0, factor(rank, len(order)) * p[index]) for rank, index in enumerate(order, start=1)]
    final = accumulate(raw, max) if upwards else reversed(list(accumulate(reversed(raw), min)))
    found = [nan] * len(p)
    for index, value in zip(order, final, strict=True):
        found[index] = float(value)
    return found
