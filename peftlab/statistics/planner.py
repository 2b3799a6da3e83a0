"""How many seeds a difference needs, from the error of a pilot."""

from dataclasses import dataclass
from math import nan, sqrt

from scipy.special import chdtri, nctdtr

from peftlab.statistics.blocks import Variance, quantile
from peftlab.statistics.comparisons import dunnett, tukey

POWER = 0.8
MOST = 10_000  # seeds that are looked at
CLAIMS = {
    "one": "one comparison named beforehand",
    "baseline": "every cell with the baseline",
    "pairs": "every pair of cells",
}


@dataclass(frozen=True)
class Plan:
    """Seeds by claim: as the pilot's error is, and were it as large as its upper 80 % bound; None above MOST."""

    difference: float
    error: float  # standard deviation of a run beside its cell and seed
    error_high: float
    seeds: dict[str, int | None]
    seeds_high: dict[str, int | None]


def plan(difference: float, error: Variance, num_cells: int, power: float = POWER) -> Plan:
    """The least number of paired seeds at which a true difference of two cells is found with probability `power` at 95 %.

    df = (n - 1) (C - 1), noncentrality = difference / sqrt(2 M_e / n); found: |t| above the critical value of the claim.

    Raises: ValueError if the pilot says nothing of the error, or there is no difference to look for.
    """
    if not error.df > 0 or not difference > 0 or num_cells < 2:
        raise ValueError(
            "A plan needs a pilot of at least two cells and two seeds, and a difference above 0."
        )
    high = error.value * error.df / float(chdtri(error.df, 0.8))
    values = [sqrt(error.value), sqrt(high)]
    seeds = [
        {claim: _least(difference, value, num_cells, claim, power) for claim in CLAIMS} for value in values
    ]
    return Plan(difference, values[0], values[1], seeds[0], seeds[1])


def _least(difference: float, error: float, cells: int, claim: str, power: float) -> int | None:
    """Doubling, then halving: power grows with the number of seeds."""
    low, high = 1, 2
    while found_with(difference, error, high, cells, claim) < power:
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if found_with(difference, error, middle, cells, claim) < power:
            low = middle
        else:
            high = middle
    return high


def found_with(difference: float, error: float, seeds: int, cells: int, claim: str) -> float:
    """The probability that a true difference is found with so many seeds."""
    if error == 0:
        return 1.0
    df = (seeds - 1) * (cells - 1)
    critical = critical_value(claim, cells, df)
    shift = difference / (error * sqrt(2 / seeds))
    found = 1 - float(nctdtr(df, shift, critical)) + float(nctdtr(df, shift, -critical))
    return 1.0 if found != found else found  # so far out that the series ends in NaN


def critical_value(claim: str, cells: int, df: float | int, level: float = 0.95) -> float:
    """Of a difference over its standard error, by the words of CLAIMS."""
    if df <= 0:
        return nan
    if claim == "one":
        return quantile(df, level)
    return dunnett(cells - 1, df, level) if claim == "baseline" else tukey(cells, df, level)
