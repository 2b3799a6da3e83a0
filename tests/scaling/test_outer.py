"""The outer loop: when it steps, on what, and that theta does not notice."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolve import resolve
from peftlab.scaling.outer import Drawn, Outer, OuterStep

SMALL = (
    "backbone=tiny",
    "fit.batch_size=64",
    "head=linear",
    "scaling=meta",
    "scaling.outer.warmup=2",
    "scaling.outer.every=3",
)
Config = Callable[..., dict[str, Any]]


def built(composed: Config, *overrides: str) -> Experiment:
    return build(resolve(composed(*SMALL, *overrides)))


def trained(composed: Config, *overrides: str) -> Experiment:
    """An experiment whose B is no longer zero, so that gamma has a gradient, with one batch for the inner loss."""
    experiment = built(composed, *overrides)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in experiment.cell.theta().items():
            if name.endswith(".B"):
                value.normal_(std=0.2, generator=rng)
    outer_of(experiment).recent.append(batch_of(experiment))
    return experiment


def outer_of(experiment: Experiment) -> Outer:
    assert experiment.learner.outer is not None
    return experiment.learner.outer


def batch_of(experiment: Experiment) -> Any:
    return next(experiment.learner.batches.iterate(0))


def step(experiment: Experiment, number: int) -> OuterStep:
    """The outer step after inner step `number`, with the streams and widths of that one."""
    return outer_of(experiment).step(number, experiment.learner.now(number - 1))


def test_direct_step_is_adam_on_the_finite_difference_of_the_outer_loss(
    composed: Config, fresh_trunk: None
) -> None:
    experiment = trained(composed, "scaling.outer.lr=0.05", "loss.tau=0.5")
    outer, cell, network = outer_of(experiment), experiment.cell, experiment.network
    raw_value = cell.gamma.raw
    assert raw_value is not None
    cell.double()
    network.backbone.model.double()
    take, loss = outer.problem.draw(0)
    batch = take(0)
    batch = batch._replace(inputs={"images": batch.inputs["images"].double()})
    outer._drawn = 0, Drawn(lambda number: batch, loss)
    counts = torch.bincount(take(0).targets, minlength=10)
    assert counts.min() >= 1, "one batch holds the whole outer split here, so its prior can be written down"
    theta = {name: value.clone() for name, value in cell.theta().items()}
    raw = raw_value.detach().clone()

    def value(at: torch.Tensor) -> float:
        with torch.no_grad():
            raw_value.copy_(at)
            logits = network.outputs([cell], batch.inputs)[0] + 0.5 * (counts / counts.sum()).log().double()
            return F.cross_entropy(logits, batch.targets).item()

    slopes = torch.stack(
        [
            torch.tensor((value(raw + step) - value(raw - step)) / 2e-6)
            for step in 1e-6 * torch.eye(len(raw), dtype=raw.dtype)
        ]
    )
    value(raw)
    done = step(experiment, 3)
    torch.testing.assert_close(
        torch.tensor(list(done.grad.values()), dtype=torch.float64), slopes.double(), rtol=1e-4, atol=1e-9
    )
    moved = raw_value.detach() - raw
    torch.testing.assert_close(
        moved, -0.05 * slopes.sign().double(), rtol=1e-3, atol=1e-6
    )  # Adam's first step
    assert all(torch.equal(value, theta[name]) for name, value in cell.theta().items())
    assert all(value.grad is None for value in cell.theta().values())
    assert done.loss == pytest.approx(value(raw), rel=1e-6)  # logits are cast to fp32 for the loss
    assert set(done.ratio) == {str(site) for site in cell.sites}


@pytest.mark.parametrize("estimator", ["unrolled", "implicit"])
def test_second_order_estimators_run_through_the_merged_product(composed: Config, estimator: str) -> None:
    direct = trained(composed)
    other = trained(composed, f"scaling/estimator={estimator}", "scaling.estimator.lr=0.5")
    first, second = step(direct, 3), step(other, 3)
    difference = max(abs(first.grad[name] - second.grad[name]) for name in first.grad)
    assert difference > 1e-6, "the response of theta to gamma is missing"
    shrunk = trained(composed, f"scaling/estimator={estimator}", "scaling.estimator.lr=1e-9")
    third = step(shrunk, 3)
    assert all(third.grad[name] == pytest.approx(first.grad[name], abs=1e-6) for name in first.grad)


def test_the_outer_split_is_drawn_anew_and_holds_every_class(composed: Config) -> None:
    experiment = built(composed, "scaling.outer.resample=6")
    outer = outer_of(experiment)
    drawn: list[int] = []
    draw = outer.problem.draw
    outer.problem = outer.problem._replace(draw=lambda number: (drawn.append(number), draw(number))[1])
    outer.recent.append(batch_of(experiment))
    for number in (3, 6, 9, 12, 15):
        step(experiment, number)
    assert drawn == [0, 1, 2]
    first, second = (draw(number).batches(0) for number in (0, 1))
    assert len(set(first.targets.tolist())) == 10
    assert set(first.rows.tolist()) != set(second.rows.tolist())
    assert experiment.outer_split is not None
    assert experiment.outer_split.coverage()["num_classes_covered"] == 10


def test_gamma_has_no_gradient_while_b_is_zero(composed: Config) -> None:
    experiment = built(composed)
    outer_of(experiment).recent.append(batch_of(experiment))
    assert set(step(experiment, 3).grad.values()) == {0.0}


@pytest.mark.parametrize(
    ("granularity", "count"), [("site", 12), ("block", 2), ("position", 6), ("global", 1), ("channel", 12)]
)
def test_every_granularity_steps(composed: Config, granularity: str, count: int) -> None:
    experiment = trained(composed, f"scaling.granularity={granularity}")
    before = experiment.cell.gamma.effective().detach().clone()
    done = step(experiment, 3)
    assert len(done.gamma) == count
    assert (experiment.cell.gamma.effective() != before).all()


def test_state_goes_round(composed: Config) -> None:
    one, two = trained(composed), trained(composed)
    step(one, 3)
    outer_of(two).load_state(deepcopy(outer_of(one).state()))
    with torch.no_grad():
        two.cell.gamma.raw.copy_(one.cell.gamma.raw)  # type: ignore[union-attr,arg-type]
    assert step(one, 6) == step(two, 6)


def test_gamma_has_one_owner_without_weight_decay(composed: Config) -> None:
    """Its Adam, and no task optimizer; an inner batch leaves no gradient at it."""
    experiment = trained(composed)
    outer, raw = outer_of(experiment), experiment.cell.gamma.raw
    assert raw is not None
    (group,) = outer.optimizer.param_groups
    assert [id(value) for value in group["params"]] == [id(raw)]
    assert group["weight_decay"] == 0
    tasks = [value for optimizer in experiment.learner.optimizers for group in optimizer.param_groups
             for value in group["params"]]  # fmt: skip
    assert id(raw) not in set(map(id, tasks))
    assert {id(value) for value in experiment.cell.theta().values()} == set(map(id, tasks))
    assert not raw.requires_grad


@pytest.mark.parametrize("dropout", [True, False])
def test_the_outer_loss_has_dropout_or_none(composed: Config, fresh_trunk: None, dropout: bool) -> None:
    """Without, it is the loss of the evaluated network; the inner losses have it always."""
    experiment = trained(composed, "peft.dropout=0.5", f"scaling.outer.dropout={str(dropout).lower()}")
    outer, cell = outer_of(experiment), experiment.cell
    seen: list[tuple[bool, torch.Tensor]] = []
    value = outer.problem.value

    def watched(loss: Any, *rest: Any) -> torch.Tensor:
        result = value(loss, *rest)
        seen.append((loss is outer.problem.inner_loss, result.detach()))
        return result

    outer.problem = outer.problem._replace(value=watched)
    take, loss = outer.problem.draw(outer.plan.draw(3))
    batch = take(0)
    with torch.no_grad():
        plain = loss(experiment.network.outputs([cell.eval()], batch.inputs)[0].float(), batch.targets)
    cell.train()
    happened = step(experiment, 3)
    assert [is_inner for is_inner, _ in seen] == [False]  # `direct` asks for the outer loss alone
    assert (abs(happened.loss - plain.item()) < 1e-5) is not dropout


def test_published_defaults_keep_dropout_out_of_the_outer_loss(composed: Config) -> None:
    assert composed("scaling=meta")["scaling"]["outer"]["dropout"] is False
