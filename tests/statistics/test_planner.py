"""The planned number of seeds finds the difference as often as it says."""

from math import sqrt

import numpy as np
import pytest

from peftlab.statistics.blocks import Variance
from peftlab.statistics.planner import CLAIMS, critical_value, found_with, plan


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_power_is_that_of_a_simulation(claim: str) -> None:
    seeds, cells, difference = 5, 12, 1.6
    rng = np.random.default_rng(0)
    y = rng.normal(size=(20_000, seeds, cells))
    y[:, :, 1] += difference
    centred = y - y.mean(1, keepdims=True) - y.mean(2, keepdims=True) + y.mean((1, 2), keepdims=True)
    df = (seeds - 1) * (cells - 1)
    error = (centred**2).sum((1, 2)) / df
    t = (y[:, :, 1].mean(1) - y[:, :, 0].mean(1)) / np.sqrt(2 * error / seeds)
    seen = (np.abs(t) > critical_value(claim, cells, df)).mean()
    assert found_with(difference, 1.0, seeds, cells, claim) == pytest.approx(seen, abs=0.012)


def test_the_plan_is_the_least_number() -> None:
    found = plan(1.0, Variance(4.0, 46), 24)
    assert found.error == 2.0
    assert found.error < found.error_high < 2.4
    for claim, seeds in found.seeds.items():
        assert seeds is not None
        assert found_with(1.0, 2.0, seeds, 24, claim) >= 0.8 > found_with(1.0, 2.0, seeds - 1, 24, claim)
        assert (found.seeds_high[claim] or 0) >= seeds
    assert list(found.seeds) == list(CLAIMS)
    assert sorted(found.seeds.values()) == list(found.seeds.values()), "the more claims, the more seeds"


def test_the_half_widths_that_pooling_gains() -> None:
    """In standard deviations of a paired difference, sqrt(2) sigma: 24 cells, all to a baseline."""
    width = {n: critical_value("baseline", 24, (n - 1) * 23) / sqrt(n) for n in (3, 5, 8, 10)}
    assert width == pytest.approx({3: 1.8, 5: 1.4, 8: 1.1, 10: 1.0}, abs=0.1)


def test_what_cannot_be_planned() -> None:
    assert plan(1.0, Variance(0.0, 4), 3).seeds["one"] == 2
    assert plan(1e-4, Variance(1.0, 4), 3).seeds["one"] is None
    for error, difference, cells in (
        (Variance(1.0, 0), 1.0, 3),
        (Variance(1.0, 4), 0.0, 3),
        (Variance(1.0, 4), 1.0, 1),
    ):
        with pytest.raises(ValueError, match="A plan needs"):
            plan(difference, error, cells)
