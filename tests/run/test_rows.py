"""A step as a row of metrics.jsonl."""

import pytest
import torch

from peftlab.fit.fit import Step
from peftlab.run.rows import POINTS, learned_gammas, row_of
from peftlab.scaling.gamma import Gamma, Scaled
from peftlab.scaling.outer import OuterStep
from peftlab.site import Site


def test_an_inner_step():
    assert row_of(Step(3, 0.5, 1.25, 0.1, None)) == {"train/loss": 1.25, "train/lr": 0.1, "epoch": 0.5}


def test_an_outer_step_adds_every_gamma_and_what_they_span():
    outer = OuterStep(2.0, {"0.q": 1.0, "1.q": 3.0}, {"0.q": -0.1, "1.q": 0.2}, {"0.q": 0.01})
    row = row_of(Step(4, 1.0, 1.0, 0.1, outer))
    assert row == {
        "train/loss": 1.0,
        "train/lr": 0.1,
        "epoch": 1.0,
        "outer/loss": 2.0,
        "outer/gamma_min": 1.0,
        "outer/gamma_max": 3.0,
        "outer/gamma_mean": 2.0,
        "outer/gamma/0.q": 1.0,
        "outer/gamma/1.q": 3.0,
        "outer/grad/0.q": -0.1,
        "outer/grad/1.q": 0.2,
        "outer/ratio/0.q": 0.01,
    }


def gamma(raw: float | None, granularity: str = "site") -> Gamma:
    places = [Scaled(Site(0, "q"), 2, 3, 1.0, 4), Scaled(Site(1, "v"), 2, 2, 1.0, 4)]
    made = Gamma(places, value=None, rule="plain", granularity=granularity, activation="identity", raw=raw)
    if made.raw is not None:
        with torch.no_grad():
            made.raw.copy_(torch.arange(len(made.raw)))
    return made


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("site", {"gamma/0.q": 0.0, "gamma/1.v": 1.0}),
        ("block", {"gamma/0": 0.0, "gamma/1": 1.0}),
        ("global", {"gamma/all": 0.0}),
        ("channel", {"gamma/0.q": 1.0, "gamma/1.v": 3.5}),
    ],
)
def test_a_learned_gamma_has_a_number_for_each_group(granularity, expected):
    assert learned_gammas(gamma(1.0, granularity), Step(1, 0.5, 1.0, 0.1, None), 4) == expected


def test_a_learned_gamma_is_in_about_a_hundred_rows_and_in_the_last():
    learned = gamma(1.0)
    for num_steps in (3, 100, 199, 1234, 5_000):
        steps = [
            number
            for number in range(1, num_steps + 1)
            if learned_gammas(learned, Step(number, 1.0, 1.0, 0.1, None), num_steps)
        ]
        assert steps[-1] == num_steps
        assert len(steps) == pytest.approx(min(num_steps, POINTS), rel=1)
    assert learned_gammas(gamma(None), Step(3, 1.0, 1.0, 0.1, None), 3) == {}
