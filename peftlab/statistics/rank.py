"""Whether two numbers of the same things agree in order."""

from collections.abc import Sequence
from math import nan

import numpy as np


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, equal values with their mean rank; NaN where one does not vary."""
    first, second = _ranks(x), _ranks(y)
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return nan
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(x: Sequence[float]) -> np.ndarray:
    values = np.asarray(x, dtype=np.float64)
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place] if len(values) else np.zeros(0)
