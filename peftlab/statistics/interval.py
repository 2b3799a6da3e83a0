"""Intervals: Student's t of a mean over seeds and of differences within seeds; Newcombe's of two runs over their items."""

from math import hypot, isnan, nan, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from peftlab.errors import UserError


class Interval(NamedTuple):
    """mean - half .. mean + half, from n values; `half` is NaN when n < 2."""

    mean: float
    half: float
    n: int


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


def score_difference(
    own: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Difference of two proportions p - q with the interval of their own score intervals (p, low, high).

        d - sqrt((p - p_low)^2 + (q_high - q)^2) .. d + sqrt((p_high - p)^2 + (q - q_low)^2)

    The two are taken as independent. Runs that answer the same items mostly agree on them, so it is rather too wide.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
    """
    (p, p_low, p_high), (q, q_low, q_high) = own, other
    return p - q, p - q - hypot(p - p_low, q_high - q), p - q + hypot(p_high - p, q - q_low)


def is_clear(bounds: tuple[float, float, float]) -> bool:
    """Whether a difference is significant: its 95 % interval is known and leaves out 0."""
    _, low, high = bounds
    return low > 0 or high < 0
