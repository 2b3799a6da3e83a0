"""Whether the best row and the best column make the best cell, and how well rows and columns alone predict a cell.

The additive prediction of a cell is its row's mean plus its column's less the grand mean.
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from jaxtyping import Float

from peftlab.statistics.anova import Anova, anova, size_interval
from peftlab.statistics.best import best_set

LEVEL = 0.05


@dataclass(frozen=True)
class Additivity:
    """A verdict on a grid.

    predicted, best: (row, column) of the cell that the additive prediction has highest, and of the highest mean.
    outside: whether the predicted cell lies outside the set of best cells. interaction: root mean square over cells of what
    rows and columns do not explain, without noise, with its 95 % interval. error_additive, error_cells: root mean square error
    of the additive and of the cell means in predicting the cells of a seed that was left out, less what the seed adds to all.
    """

    predicted: tuple[int, int]
    best: tuple[int, int]
    outside: bool
    interaction: float
    low: float
    high: float
    p: float
    error_additive: float
    error_cells: float

    @property
    def verdict(self) -> str:
        """`not additive` where the interaction is significant, else `no interaction found`: that is no proof that there is none."""
        return "not additive" if self.p < LEVEL else "no interaction found"


def additive(cell: Float[np.ndarray, "*seeds rows columns"]) -> np.ndarray:
    """Row mean + column mean - grand mean, of the last two axes."""
    rows, columns = cell.mean(-1, keepdims=True), cell.mean(-2, keepdims=True)
    return np.asarray(rows + columns - cell.mean((-2, -1), keepdims=True))


def additivity(y: Float[np.ndarray, "seeds rows columns"], table: Anova | None = None) -> Additivity:
    """The verdict on a complete grid of at least two seeds, two rows and two columns."""
    table = table or anova(y, "rows", "columns")
    cell = y.mean(0)
    predicted, best = _highest(additive(cell)), _highest(cell)
    found = best_set(cell.ravel(), table.error.mean_square, len(y), table.error.df)
    num_columns = cell.shape[1]
    noise, effect = table.error.mean_square, table.interaction
    low, high = size_interval(effect, table.error, y.size)
    return Additivity(
        predicted,
        best,
        predicted[0] * num_columns + predicted[1] not in found,
        sqrt(max(0.0, effect.df * (effect.mean_square - noise)) / y.size),
        low,
        high,
        effect.p,
        *_errors(y),
    )


def _errors(y: Float[np.ndarray, "seeds rows columns"]) -> tuple[float, float]:
    """Root mean square errors on the seed that was left out, of the additive and of the cell means of the others."""
    if len(y) < 2:
        return nan, nan
    centred = y - y.mean((1, 2), keepdims=True)
    others = (centred.sum(0) - centred) / (len(y) - 1)
    errors = [float(((centred - guess) ** 2).mean()) for guess in (additive(others), others)]
    return sqrt(errors[0]), sqrt(errors[1])


def _highest(cell: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(int(cell.argmax()), cell.shape)
    return int(row), int(column)
