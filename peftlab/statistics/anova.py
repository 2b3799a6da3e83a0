"""Two-way analysis of variance in blocks: depth x position, every cell under every seed.

y_sdp = mu + seed_s + depth_d + position_p + (depth position)_dp + e_sdp,   df_e = (S - 1) (D P - 1)
"""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import fdtrc, ncfdtr


@dataclass(frozen=True)
class Effect:
    """One line of the table. F and p are NaN for the seeds, which are blocks, and for the error.

    share: of the sum of squares of the cells, which depth, position and interaction divide among themselves; NaN for the others.
    omega2: partial omega squared, (SS - df M_e) / (SS + (N - df) M_e), an effect size that noise alone does not raise.
    """

    name: str
    df: int
    squares: float
    f: float = nan
    p: float = nan
    share: float = nan
    omega2: float = nan

    @property
    def mean_square(self) -> float:
        """SS / df."""
        return self.squares / self.df if self.df else nan


@dataclass(frozen=True)
class Anova:
    """The effects of rows and columns of a grid, in the order of their names."""

    rows: Effect
    columns: Effect
    interaction: Effect
    seeds: Effect
    error: Effect

    @property
    def effects(self) -> tuple[Effect, Effect, Effect]:
        """Those that have a test."""
        return self.rows, self.columns, self.interaction


def anova(y: Float[np.ndarray, "seeds rows columns"], rows: str, columns: str) -> Anova:
    """The table of a complete grid of several seeds. Columns of one row only, or one seed, have no test: F is NaN.

    Raises: ValueError for a value that is not finite.
    """
    if not np.isfinite(y).all():
        raise ValueError("An analysis of variance has no missing value: leave out the seeds that lack one.")
    num_seeds, num_rows, num_columns = y.shape
    grand, cell = y.mean(), y.mean(0)
    row, column = cell.mean(1) - grand, cell.mean(0) - grand
    squares = {
        "rows": num_seeds * num_columns * float(row @ row),
        "columns": num_seeds * num_rows * float(column @ column),
        "interaction": num_seeds * float(((cell - grand - row[:, None] - column) ** 2).sum()),
        "seeds": num_rows * num_columns * float(((y.mean((1, 2)) - grand) ** 2).sum()),
        "error": float(((y - cell - (y.mean((1, 2)) - grand)[:, None, None]) ** 2).sum()),
    }
    df = {
        "rows": num_rows - 1,
        "columns": num_columns - 1,
        "interaction": (num_rows - 1) * (num_columns - 1),
        "seeds": num_seeds - 1,
        "error": (num_seeds - 1) * (num_rows * num_columns - 1),
    }
    names = {"rows": rows, "columns": columns, "interaction": f"{rows} x {columns}"}
    error = Effect("error", df["error"], squares["error"])
    of_cells = squares["rows"] + squares["columns"] + squares["interaction"]
    tested = {
        key: _tested(Effect(name, df[key], squares[key]), error, of_cells, y.size)
        for key, name in names.items()
    }
    return Anova(**tested, seeds=Effect("seed", df["seeds"], squares["seeds"]), error=error)


def _tested(effect: Effect, error: Effect, of_cells: float, size: int) -> Effect:
    share = effect.squares / of_cells if of_cells > 0 else nan
    if not (effect.df and error.df and error.squares > 0):
        return Effect(effect.name, effect.df, effect.squares, share=share)
    noise = error.mean_square
    f = effect.mean_square / noise
    omega2 = (effect.squares - effect.df * noise) / (effect.squares + (size - effect.df) * noise)
    p = float(fdtrc(effect.df, error.df, f))
    return Effect(effect.name, effect.df, effect.squares, f, p, share, omega2)


def size_interval(effect: Effect, error: Effect, num: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of the root mean square over cells of a true effect, in the unit of y; `num` is the number of all values.

    F is noncentral with lambda = sum over all values of the squared effect / sigma^2. The ends are those lambda at which F lies
    at its (1 -+ level) / 2 points, as sqrt(lambda M_e / num); the lower one is 0 where even lambda = 0 has F below it.

    Source: Steiger 2004, "Beyond the F test: effect size confidence intervals and tests of close fit in the analysis of variance".
    """
    if not effect.f > 0:
        return nan, nan

    def end(probability: float) -> float:
        def gap(noncentrality: float) -> float:
            return float(ncfdtr(effect.df, error.df, noncentrality, effect.f)) - probability

        if gap(0.0) <= 0:
            return 0.0
        most = 4.0 * effect.df * (effect.f + 1)
        while gap(most) > 0:
            most *= 2
        return float(brentq(gap, 0.0, most))

    low, high = end((1 + level) / 2), end((1 - level) / 2)
    return sqrt(low * error.mean_square / num), sqrt(high * error.mean_square / num)
