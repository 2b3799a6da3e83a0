"""Cells that vary more than the others: what a pooled error must not be made of."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import fdtrc

LEVEL = 0.001  # of one cell among all, and not the usual 0.01: values with heavy tails are outlying too often
MIN_RUNS = 3


def outlying(value: Float[np.ndarray, "seeds cells"]) -> Bool[np.ndarray, " cells"]:
    """Which cells have a variance over seeds that is too large for one common variance. NaN where a run has no number.

    The cell with the largest variance is left out if F = s_c^2 / s_others^2 has a p-value below LEVEL after Bonferroni over cells,
    then the next one, among those that are left. s_others^2 pools within-cell squares; cells with fewer than three runs are never outlying.

    Source: Cochran 1941, "The distribution of the largest of a set of estimated variances as a fraction of their total"
    (ISO 5725-2 takes it one after the other, too). Differs: cells may have unequal numbers of runs.
    """
    found = np.zeros(value.shape[1], dtype=bool)
    df = np.maximum(np.isfinite(value).sum(0) - 1, 0)
    centred = value - np.nansum(value, axis=0) / np.maximum(df + 1, 1)
    squares = np.nansum(np.where(df > 0, centred, 0.0) ** 2, axis=0)
    while True:
        candidates = np.flatnonzero(~found & (df >= MIN_RUNS - 1))
        if len(candidates) < 3:
            return found
        worst = candidates[np.argmax(squares[candidates] / df[candidates])]
        others = ~found & (np.arange(len(found)) != worst)
        pooled, df_others = squares[others].sum() / df[others].sum(), df[others].sum()
        if pooled == 0:
            return found
        p = fdtrc(df[worst], df_others, squares[worst] / df[worst] / pooled)
        if p * (len(found) - found.sum()) >= LEVEL:
            return found
        found[worst] = True
