"""Exact companions of the F tests: what is permuted stays inside its block, so that no distribution is assumed."""

import numpy as np
from jaxtyping import Float


def permutation_p(
    y: Float[np.ndarray, "seeds rows columns"], axis: int, num: int, rng: np.random.Generator
) -> float:
    """p of the null "rows (axis=1) or columns (axis=2) do nothing", by permuting them inside each seed and line of the other.

    The statistic is the sum of squares of their means. Exact for any distribution of the errors: under the null the values of
    one seed and one line can be exchanged. (1 + at least as large) / (1 + num): Phipson and Smyth 2010.
    """
    values = np.moveaxis(y, axis, -1)
    seen = _squares(values)
    count = 0
    for _ in range(num):
        count += _squares(rng.permuted(values, axis=-1)) >= seen * (1 - 1e-12)
    return (1 + count) / (1 + num)


def _squares(values: np.ndarray) -> float:
    mean = values.mean((0, 1))
    return float(((mean - mean.mean()) ** 2).sum())


def permutation_cells(y: Float[np.ndarray, "seeds cells"], num: int, rng: np.random.Generator) -> float:
    """p of the null "all cells are alike", by permuting the cells inside each seed. Exact."""
    return permutation_p(y[:, None, :], 2, num, rng)
