"""Intervals: Wilson for a proportion, Student's t for a mean over seeds and for differences within seeds."""

from math import isnan, nan, sqrt
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

from peftlab.errors import UserError


class Interval(NamedTuple):
    """mean - half .. mean + half, from n values; `half` is NaN when n < 2."""

    mean: float
    half: float
    n: int


def wilson(p: float, num: float | int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion p seen in num trials; (NaN, NaN) without trials.

        (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)

    num may be fractional: an effective number of trials.

    Raises: ValueError for p outside 0..1 or a level outside 0..1.
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not between 0 and 1.")
    if isnan(p) or num <= 0:
        return nan, nan
    if not 0 <= p <= 1:
        raise ValueError(f"p={p} is not a proportion, 0 to 1.")
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = p + z2 / (2 * num)
    half = sqrt(z2 * (p * (1 - p) / num + z2 / (4 * num**2)))
    scale = 1 + z2 / num
    # At p = 0 and p = 1 one bound is p itself; rounding must not push it to the other side.
    return max(0.0, min(p, (centre - half) / scale)), min(1.0, max(p, (centre + half) / scale))


def mean_interval(values: list[float], level: float = 0.95) -> Interval:
    """Mean of independent runs with Student's t interval.

        half = t_{n-1, (1+level)/2} s / sqrt(n)

    One value has a mean and no interval (half = NaN), no value has neither. A NaN among the values makes both
    NaN: what to leave out is the caller's to decide and to count.
    """
    n = len(values)
    if n == 0:
        return Interval(nan, nan, 0)
    if n == 1 or any(map(isnan, values)):
        return Interval(fmean(values), nan, n)
    from scipy.special import stdtrit  # here, so that the command line answers without scipy

    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    return Interval(fmean(values), quantile * stdev(values) / sqrt(n), n)


def paired_difference(cell: dict[int, float], baseline: dict[int, float], level: float = 0.95) -> Interval:
    """Mean of cell - baseline over the seeds both have, with the t interval of these differences.

    Two runs with one seed share split, order, augmentation and head; none of that noise is in the difference.

    Raises: UserError when no seed is common.
    """
    common = sorted(cell.keys() & baseline.keys())
    if not common:
        raise UserError(
            f"seed={sorted(cell)} of the cell and seed={sorted(baseline)} of the baseline are all different; "
            "legal are cells with a common seed."
        )
    return mean_interval([cell[seed] - baseline[seed] for seed in common], level)
