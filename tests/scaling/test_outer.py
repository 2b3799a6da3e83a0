"""The outer loop: when it steps, on what, and that theta does not notice."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from peftlab.build.build import Experiment, build
from peftlab.errors import UserError

SMALL = (
    "backbone=tiny",
    "fit.batch_size=64",
    "head=linear",
    "scaling=meta",
    "scaling.outer.warmup=2",
    "scaling.outer.every=3",
)
Config = Callable[..., dict[str, Any]]


def trained(composed: Config, *overrides: str) -> Experiment:
    """An experiment whose B is no longer zero, so that gamma has a gradient, with one batch for the inner loss."""
    experiment = build(composed(*SMALL, *overrides))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in experiment.model.theta().items():
            if name.endswith(".B"):
                value.normal_(std=0.2, generator=rng)
    assert experiment.outer is not None
    experiment.outer.recent.append(experiment.batches.batch(0))
    return experiment


def test_due_every_so_many_steps_after_the_warm_up(composed: Config) -> None:
    outer = build(composed(*SMALL)).outer
    assert outer is not None
    assert [step for step in range(1, 13) if outer.due(step)] == [3, 6, 9, 12]
    outer.warmup = 6
    assert [step for step in range(1, 13) if outer.due(step)] == [9, 12]


def test_direct_step_is_adam_on_the_finite_difference_of_the_outer_loss(composed: Config) -> None:
    experiment = trained(composed, "scaling.outer.lr=0.05", "loss.tau=0.5")
    outer, model = experiment.outer, experiment.model
    assert outer is not None
    assert model.gamma.raw is not None
    model.double()
    take, loss = outer._draw(0)
    batch = take(0)
    batch = batch._replace(inputs={"images": batch.inputs["images"].double()})
    outer._batches, outer._loss, outer._drawn = (lambda number: batch), loss, 0
    counts = torch.bincount(experiment.outer._draw(0)[0](0).targets, minlength=10)
    assert counts.min() >= 1, "one batch holds the whole outer split here, so its prior can be written down"
    theta = {name: value.clone() for name, value in model.theta().items()}
    raw = model.gamma.raw.detach().clone()

    def value(at: torch.Tensor) -> float:
        with torch.no_grad():
            model.gamma.raw.copy_(at)  # type: ignore[union-attr]
            logits = model(batch.inputs["images"]) + 0.5 * (counts / counts.sum()).log().double()
            return F.cross_entropy(logits, batch.targets).item()

    slopes = torch.stack(
        [
            torch.tensor((value(raw + step) - value(raw - step)) / 2e-6)
            for step in 1e-6 * torch.eye(len(raw), dtype=raw.dtype)
        ]
    )
    value(raw)
    done = outer.step(3)
    torch.testing.assert_close(
        torch.tensor(list(done.grad.values()), dtype=torch.float64), slopes.double(), rtol=1e-4, atol=1e-9
    )
    moved = model.gamma.raw.detach() - raw
    torch.testing.assert_close(
        moved, -0.05 * slopes.sign().double(), rtol=1e-3, atol=1e-6
    )  # Adam's first step
    assert all(torch.equal(value, theta[name]) for name, value in model.theta().items())
    assert all(value.grad is None for value in model.theta().values())
    assert done.loss == pytest.approx(value(raw), rel=1e-6)  # logits are cast to fp32 for the loss
    assert set(done.ratio) == {str(site) for site in model.sites}


@pytest.mark.parametrize("estimator", ["unrolled", "implicit"])
def test_second_order_estimators_run_through_the_merged_product(composed: Config, estimator: str) -> None:
    direct = trained(composed)
    other = trained(composed, f"scaling/estimator={estimator}", "scaling.estimator.lr=0.5")
    assert direct.outer is not None
    assert other.outer is not None
    first, second = direct.outer.step(3), other.outer.step(3)
    difference = max(abs(first.grad[name] - second.grad[name]) for name in first.grad)
    assert difference > 1e-6, "the response of theta to gamma is missing"
    shrunk = trained(composed, f"scaling/estimator={estimator}", "scaling.estimator.lr=1e-9")
    assert shrunk.outer is not None
    third = shrunk.outer.step(3)
    assert all(third.grad[name] == pytest.approx(first.grad[name], abs=1e-6) for name in first.grad)


def test_the_outer_split_is_drawn_anew_and_holds_every_class(composed: Config) -> None:
    experiment = build(composed(*SMALL, "scaling.outer.resample=6"))
    outer = experiment.outer
    assert outer is not None
    drawn: list[int] = []
    draw = outer._draw
    outer._draw = lambda number: (drawn.append(number), draw(number))[1]
    outer.recent.append(experiment.batches.batch(0))
    for step in (3, 6, 9, 12, 15):
        outer.step(step)
    assert drawn == [0, 1, 2]
    first, second = (draw(number)[0](0) for number in (0, 1))
    assert len(set(first.targets.tolist())) == 10
    assert set(first.rows.tolist()) != set(second.rows.tolist())
    assert experiment.outer_coverage is not None
    assert experiment.outer_coverage["num_classes_covered"] == 10


def test_gamma_has_no_gradient_while_b_is_zero(composed: Config) -> None:
    experiment = build(composed(*SMALL))
    assert experiment.outer is not None
    experiment.outer.recent.append(experiment.batches.batch(0))
    assert set(experiment.outer.step(3).grad.values()) == {0.0}


@pytest.mark.parametrize(
    ("granularity", "count"), [("site", 12), ("block", 2), ("position", 6), ("global", 1), ("channel", 12)]
)
def test_every_granularity_steps(composed: Config, granularity: str, count: int) -> None:
    experiment = trained(composed, f"scaling.granularity={granularity}")
    assert experiment.outer is not None
    before = experiment.model.gamma.effective().detach().clone()
    done = experiment.outer.step(3)
    assert len(done.gamma) == count
    assert (experiment.model.gamma.effective() != before).all()


def test_state_goes_round(composed: Config) -> None:
    one, two = trained(composed), trained(composed)
    assert one.outer is not None
    assert two.outer is not None
    one.outer.step(3)
    two.outer.load_state_dict(deepcopy(one.outer.state_dict()))
    with torch.no_grad():
        two.model.gamma.raw.copy_(one.model.gamma.raw)  # type: ignore[union-attr,arg-type]
    assert one.outer.step(6) == two.outer.step(6)


def test_a_run_too_short_for_an_outer_step_is_refused(composed: Config) -> None:
    with pytest.raises(
        UserError,
        match=r"scaling\.outer\.warmup=2 and scaling\.outer\.every=100 leave no outer step in the 50",
    ):
        build(composed(*SMALL, "scaling.outer.every=100"))
