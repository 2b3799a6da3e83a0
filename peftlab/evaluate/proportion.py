"""The score interval of a mean of proportions; of a single one it is Wilson's."""

from math import nan
from statistics import NormalDist

import numpy as np
from jaxtyping import Int64


def score_interval(
    correct: Int64[np.ndarray, " c"], total: Int64[np.ndarray, " c"], level: float = 0.95
) -> tuple[float, float]:
    """Score interval of the mean of c independent proportions correct_c / total_c; each needs a trial, (NaN, NaN) without any.

    The ends are the means t that a score test does not refuse: with p_c(t) the most likely proportions whose mean is t,

        (mean_c correct_c / total_c - t)^2 = z^2 V(t),   V(t) = 1/K^2 sum_c p_c (1 - p_c) / total_c

    A Lagrange multiplier a gives p_c as the root of a p^2 - (total_c + a) p + correct_c = 0 and the equation becomes
    a K (mean - t) = z^2, whose left side grows with |a|. One proportion has Wilson's interval.

    Raises: ValueError for a class without a trial, or more right than tried.
    Source: Martin Andres, Alvarez Hernandez and Herranz Tejedor 2011, "Inferences about a linear combination of proportions".
    """
    if len(total) == 0:
        return nan, nan
    if (total < 1).any() or (correct < 0).any() or (correct > total).any():
        raise ValueError(f"correct={correct.tolist()} of total={total.tolist()}: each class needs a trial.")
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    low = _score_end(correct, total, z2)
    return low, 1.0 - _score_end(total - correct, total, z2)  # right and wrong change places


def _score_end(correct: Int64[np.ndarray, " c"], total: Int64[np.ndarray, " c"], z2: float) -> float:
    """The lower end: the multiplier by halving between 0 and one that is large enough."""
    mean, num = float((correct / total).mean()), len(total)
    if mean == 0:
        return 0.0

    def constrained(a: float) -> float:
        b = total + a
        return float((2 * correct / (b + np.sqrt(np.maximum(b * b - 4 * a * correct, 0.0)))).mean())

    low, high = 0.0, 1.0
    while high * num * (mean - constrained(high)) < z2:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if middle * num * (mean - constrained(middle)) < z2:
            low = middle
        else:
            high = middle
    return constrained(high)
