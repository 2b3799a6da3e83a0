"""The table against statsmodels, its error rate, and the interval of an effect's size."""

from math import isnan, sqrt

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from peftlab.statistics.anova import anova, size_interval

EFFECT = np.array([[2.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, -1.0]])


def grid(seeds: int, seed: int, effect: np.ndarray = EFFECT) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(seeds, *effect.shape)) + 2 * rng.normal(size=(seeds, 1, 1)) + effect


def test_the_table_is_that_of_statsmodels() -> None:
    y = grid(5, 0)
    seed, row, column = (index.ravel() for index in np.indices(y.shape))
    frame = pd.DataFrame({"y": y.ravel(), "s": seed, "d": row, "p": column})
    expected = anova_lm(ols("y ~ C(s) + C(d) * C(p)", frame).fit())
    found = anova(y, "depth", "position")
    for effect, line in zip(found.effects, ("C(d)", "C(p)", "C(d):C(p)"), strict=True):
        assert effect.df == expected.loc[line, "df"]
        assert effect.squares == pytest.approx(expected.loc[line, "sum_sq"])
        assert effect.f == pytest.approx(expected.loc[line, "F"])
        assert effect.p == pytest.approx(expected.loc[line, "PR(>F)"])
    assert found.error.squares == pytest.approx(expected.loc["Residual", "sum_sq"])
    assert found.seeds.squares == pytest.approx(expected.loc["C(s)", "sum_sq"])
    assert sum(effect.share for effect in found.effects) == pytest.approx(1)
    assert [effect.name for effect in found.effects] == ["depth", "position", "depth x position"]


def test_one_seed_has_no_test_and_a_hole_is_refused() -> None:
    found = anova(grid(1, 0), "depth", "position")
    assert all(isnan(effect.p) for effect in found.effects)
    assert sum(effect.share for effect in found.effects) == pytest.approx(1)
    y = grid(3, 0)
    y[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="missing"):
        anova(y, "depth", "position")


def test_a_grid_of_one_column_has_one_effect() -> None:
    found = anova(grid(4, 0, EFFECT[:, :1]), "depth", "position")
    assert found.columns.df == found.interaction.df == 0
    assert isnan(found.columns.p)
    assert 0 <= found.rows.p <= 1


def test_the_error_rate_is_that_of_its_level() -> None:
    """4,000 grids without an effect: each of the three tests is wrong in 5 of 100."""
    wrong = np.zeros(3)
    for seed in range(4000):
        wrong += [effect.p < 0.05 for effect in anova(grid(3, seed, np.zeros((4, 6))), "d", "p").effects]
    assert wrong / 4000 == pytest.approx([0.05] * 3, abs=0.011)


def test_omega_squared_is_not_raised_by_noise() -> None:
    found = [anova(grid(3, seed, np.zeros((4, 6))), "d", "p").interaction.omega2 for seed in range(1000)]
    assert np.mean(found) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_the_size_of_an_interaction_is_covered(scale: float) -> None:
    rows, columns = EFFECT.mean(1, keepdims=True), EFFECT.mean(0, keepdims=True)
    effect = scale * (EFFECT - rows - columns + EFFECT.mean())
    truth = sqrt(float((effect**2).mean()))
    covered = 0
    for seed in range(400):
        y = grid(4, seed, effect)
        table = anova(y, "d", "p")
        low, high = size_interval(table.interaction, table.error, y.size)
        covered += low - 1e-9 <= truth <= high
    assert covered / 400 >= 0.92
