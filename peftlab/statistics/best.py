"""The set of best cells: those that cannot be told from the best (multiple comparisons with the best)."""

from math import sqrt

import numpy as np
from jaxtyping import Float

from peftlab.statistics.comparisons import dunnett


def best_set(
    mean: Float[np.ndarray, " cells"], error: float | int, num: int, df: float | int, level: float = 0.95
) -> list[int]:
    """The cells whose mean is at most d sqrt(2 M_e / n) below the highest of the others: the truly best is one of them with
    probability `level`, whatever the truth is.

    d is Dunnett's one-sided critical value for the others; error: M_e, the pooled variance of a run beside its cell and seed,
    with `df` degrees; num: seeds behind each mean. Without an estimate of the error no cell is left out. A NaN is in no set.

    Source: Hsu 1984, "Constrained simultaneous confidence intervals for multiple comparisons with the best".
    """
    known = [index for index, value in enumerate(mean) if np.isfinite(value)]
    if len(known) < 2 or not df > 0:
        return known
    reach = dunnett(len(known) - 1, df, level, sides=1) * sqrt(2 * error / num)
    return [i for i in known if mean[i] - max(mean[j] for j in known if j != i) >= -reach]


def to_best(
    mean: Float[np.ndarray, " cells"], error: float | int, num: int, df: float | int, level: float = 0.95
) -> list[tuple[float, float]]:
    """Simultaneous intervals of each cell less the best of the others, constrained to hold 0 or end there (Hsu 1984)."""
    reach = dunnett(len(mean) - 1, df, level, sides=1) * sqrt(2 * error / num)
    found = []
    for index, value in enumerate(mean):
        gap = float(value - np.delete(mean, index).max())
        found.append((min(0.0, gap - reach), max(0.0, gap + reach)))
    return found
