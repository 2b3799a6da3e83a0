"""A step as a row of metrics.jsonl."""

from peftlab.fit.fit import Step
from peftlab.run.rows import row_of
from peftlab.scaling.outer import OuterStep


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
