"""Cells measured under common seeds: a randomised block design whose block is the seed.

    y_sc = mu + seed_s + cell_c + e_sc

The runs of one seed share split, order, augmentation and head, so that what a seed adds is common to its cells, and e is what is
left of a difference of two cells. It is estimated from all cells at once, since one cell's few seeds say little of it.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf, nan, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.linalg import lstsq
from scipy.special import ndtri, stdtr, stdtrit


class Variance(NamedTuple):
    """An estimate of a variance, and its degrees of freedom; NaN and 0 where the values say nothing of it."""

    value: float
    df: float | int


@dataclass(frozen=True)
class Blocks:
    """value: a row for each seed, a column for each cell, NaN where a run has no number. Columns need not be full."""

    value: Float[np.ndarray, "seeds cells"]

    @cached_property
    def num(self) -> np.ndarray:
        """Runs of each cell."""
        return np.isfinite(self.value).sum(0)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of each cell over its own seeds; NaN where it has none."""
        total = np.where(np.isfinite(self.value), self.value, 0.0).sum(0)
        return np.divide(total, self.num, out=np.full(len(total), nan), where=self.num > 0)

    @cached_property
    def complete(self) -> "Blocks":
        """The seeds that every cell with a number has: what an analysis of variance is made of."""
        known = self.value[:, self.num > 0]
        return Blocks(known[np.isfinite(known).all(1)])

    @cached_property
    def residual(self) -> np.ndarray:
        """y less its fit by seed and cell (least squares over what is there), NaN where nothing is."""
        there = np.isfinite(self.value)
        seed, cell = np.nonzero(there)
        num_seeds, num_cells = self.value.shape
        design = np.zeros((len(seed), num_seeds + num_cells))
        design[np.arange(len(seed)), seed] = 1.0
        design[np.arange(len(seed)), num_seeds + cell] = 1.0
        y = self.value[there]
        fit = lstsq(design, y, rcond=None)[0] if len(y) else np.zeros(0)
        found = np.full(self.value.shape, nan)
        found[there] = y - design @ fit if len(y) else y
        return found

    @cached_property
    def error(self) -> Variance:
        """Variance of e, pooled over cells. df = runs - seeds - cells + 1 in a table without separate islands."""
        there = np.isfinite(self.value)
        df = int(there.sum()) - int(there.any(1).sum()) - int(there.any(0).sum()) + _islands(there)
        if df < 1:
            return Variance(nan, 0)
        return Variance(float(np.nansum(self.residual**2)) / df, df)

    @cached_property
    def total(self) -> Variance:
        """Variance of one cell over seeds, seed_s + e_sc, pooled over cells: within-cell squares by n - 1 each.

        The cells share their seeds, so its degrees of freedom are fewer than their number, by Satterthwaite 1946:

            V = (M_s + (C - 1) M_e) / C,   df = C^2 V^2 / (M_s^2 / (S - 1) + ((C - 1) M_e)^2 / df_e)
        """
        several = self.num > 1
        if not several.any():
            return Variance(nan, 0)
        centred = (self.value - self.mean)[:, several]
        value = float(np.nansum(centred**2)) / float((self.num[several] - 1).sum())
        cells, seeds = int(several.sum()), int(np.isfinite(centred).any(1).sum())
        error, df_error = self.error
        if cells == 1 or df_error == 0:
            return Variance(value, float((self.num[several] - 1).sum() if cells == 1 else seeds - 1))
        by_seed = max(0.0, cells * value - (cells - 1) * error)
        below = by_seed**2 / (seeds - 1) + ((cells - 1) * error) ** 2 / df_error
        return Variance(value, (cells * value) ** 2 / below if below else inf)

    def half(self, cell: int, level: float = 0.95) -> float:
        """Half of the interval of a cell's mean over the population of seeds; NaN where nothing is known of it."""
        value, df = self.total
        if df == 0 or self.num[cell] == 0:
            return nan
        return quantile(df, level) * sqrt(value / self.num[cell])

    def standard_error(self, num: int) -> float:
        """Of a difference of two cells over `num` common seeds: sqrt(2 M_e / num)."""
        value, df = self.error
        return sqrt(2 * value / num) if df and num else nan


def quantile(df: float | int, level: float) -> float:
    """t such that a Student variable of `df` degrees lies in -t..t with probability `level`."""
    return float(ndtri((1 + level) / 2)) if df == inf else float(stdtrit(df, (1 + level) / 2))


def two_sided(difference: float, error: float, df: float | int) -> float:
    """The p-value of a difference with this standard error, by Student's t."""
    if error == 0:
        return float(difference == 0)
    return float(2 * stdtr(df, -abs(difference) / error))


def _islands(there: np.ndarray) -> int:
    """Parts of a table that no row or column joins: each has a level of its own."""
    left, number = {int(row) for row in np.flatnonzero(there.any(1))}, 0
    while left:
        number += 1
        rows, grown = set[int](), {min(left)}
        while grown - rows:
            rows |= grown
            columns = there[sorted(rows)].any(0)
            grown = {int(row) for row in np.flatnonzero(there[:, columns].any(1))}
        left -= rows
    return number
