"""The training loop against closed forms and against itself, stopped and resumed."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from peftlab.build.build import Experiment, build

from peftlab.fit.fit import Diverged, Step, autocast, fit, lr_factor, steps_per_epoch

SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "head=linear")
Config = Callable[..., dict[str, Any]]


def steps(experiment: Experiment, start: int = 0) -> list[Step]:
    """All steps of an experiment from `start`."""
    return list(
        fit(
            experiment.plan,
            experiment.model,
            experiment.batches,
            experiment.loss,
            experiment.optimizers,
            experiment.outer,
            start=start,
            seed=0,
            device=experiment.device,
        )
    )


def theta(experiment: Experiment) -> dict[str, torch.Tensor]:
    """A copy of all that was trained."""
    return {name: value.detach().clone() for name, value in experiment.model.theta().items()}


def test_lr_factor_is_linear_then_half_a_cosine() -> None:
    assert [lr_factor(step, 14, 4) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert lr_factor(4, 14, 4) == 1.0
    assert lr_factor(9, 14, 4) == pytest.approx(0.5)
    assert lr_factor(14, 14, 4) == pytest.approx(0.0)
    factors = [lr_factor(step, 14, 4) for step in range(4, 15)]
    assert factors == sorted(factors, reverse=True), "it must not rise again in the last epochs"


def test_the_schedule_spans_the_true_number_of_steps(composed: Config) -> None:
    experiment = build(composed(*SMALL, "fit.accumulate=2"))
    done = steps(experiment)
    per_epoch = steps_per_epoch(experiment.plan, experiment.batches)
    assert per_epoch == math.ceil(math.ceil(len(experiment.train) / 64) / 2)
    assert len(done) == 2 * per_epoch
    assert done[0].lr == pytest.approx(0.01)
    assert done[-1].lr == pytest.approx(0.01 * lr_factor(len(done) - 1, len(done), 0))


def test_accumulation_is_the_mean_over_all_images(composed: Config) -> None:
    whole, parts = (
        build(composed(*SMALL, f"fit.batch_size={size}", f"fit.accumulate={n}"))
        for size, n in ((64, 1), (16, 4))
    )
    for one, other in zip(steps(whole), steps(parts), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
    for name, value in theta(whole).items():
        torch.testing.assert_close(value, theta(parts)[name], rtol=1e-3, atol=1e-5)


def test_clipping_bounds_the_norm_of_the_step(composed: Config) -> None:
    clipped = build(composed(*SMALL, "fit.clip_norm=0.001", "optim.momentum=0", "optim.weight_decay=0"))
    before = theta(clipped)
    stream = fit(
        clipped.plan,
        clipped.model,
        clipped.batches,
        clipped.loss,
        clipped.optimizers,
        None,
        start=0,
        seed=0,
        device=clipped.device,
    )
    step = next(stream)
    moved = (
        torch.cat([(value - before[name]).flatten() for name, value in theta(clipped).items()]).norm().item()
    )
    assert moved == pytest.approx(step.lr * 0.001, rel=1e-2)


def test_bf16_keeps_trained_tensors_in_fp32_and_stays_close(composed: Config) -> None:
    full, half = (build(composed(*SMALL, f"fit.precision={name}")) for name in ("fp32", "bf16"))
    first, second = steps(full), steps(half)
    assert all(value.dtype == torch.float32 for value in theta(half).values())
    assert second[0].loss == pytest.approx(first[0].loss, rel=0.02)
    assert second[0].loss != first[0].loss, "autocast did nothing"
    with autocast(half.plan, half.device)():
        assert half.model(torch.zeros(1, 3, 32, 32)).dtype == torch.bfloat16


@pytest.mark.parametrize("scaling", ["fixed", "learned", "meta"])
def test_gamma_has_an_owner_of_its_own(composed: Config, scaling: str) -> None:
    more = ("scaling.outer.warmup=2",) if scaling == "meta" else ()
    experiment = build(composed(*SMALL, f"scaling={scaling}", *more))
    groups = [group for optimizer in experiment.optimizers for group in optimizer.param_groups]
    owned = [id(value) for group in groups for value in group["params"]]
    assert len(owned) == len(set(owned))
    assert {id(value) for value in experiment.optimizers[0].param_groups[0]["params"]} == {
        id(value) for value in experiment.model.theta().values()
    }
    raw = experiment.model.gamma.raw
    if scaling == "fixed":
        assert raw is None
    elif scaling == "learned":
        assert [id(raw)] == [id(value) for value in experiment.optimizers[1].param_groups[0]["params"]]
        assert experiment.optimizers[1].param_groups[0]["weight_decay"] == 0
    else:
        assert experiment.outer is not None
        assert id(raw) not in owned
        assert [id(raw)] == [id(value) for value in experiment.outer.optimizer.param_groups[0]["params"]]
        assert experiment.outer.optimizer.param_groups[0]["weight_decay"] == 0


def test_learned_gamma_moves_and_fixed_meta_gamma_moves_only_in_outer_steps(composed: Config) -> None:
    learned = build(composed(*SMALL, "scaling=learned", "scaling.lr=0.1"))
    before = learned.model.gamma.effective().detach().clone()
    steps(learned)
    assert (learned.model.gamma.effective() - before).abs().min() > 0
    meta = build(
        composed(
            *SMALL, "scaling=meta", "scaling.outer.every=3", "scaling.outer.warmup=4", "scaling.outer.lr=0.1"
        )
    )
    seen = []
    for step in fit(
        meta.plan,
        meta.model,
        meta.batches,
        meta.loss,
        meta.optimizers,
        meta.outer,
        start=0,
        seed=0,
        device=meta.device,
    ):
        seen.append((step.outer is not None, meta.model.gamma.effective().detach().clone()))
    assert [index + 1 for index, (outer, _) in enumerate(seen) if outer] == [6, 9][: len(seen) // 3 - 1]
    for (_, old), (outer, new) in pairwise(seen):
        assert outer == bool((old != new).any())


def test_two_placements_differ_in_placement_only(composed: Config) -> None:
    one, two = (
        build(composed(*SMALL, f"placement.position={name}", "head.init=random"))
        for name in ("q", "[q,mlp1]")
    )
    assert torch.equal(one.batches.batch(3).inputs["images"], two.batches.batch(3).inputs["images"])
    assert torch.equal(one.batches.batch(3).rows, two.batches.batch(3).rows)
    shared = theta(one).keys() & theta(two).keys()
    assert len(shared) == 2 * 2 + 2
    assert all(torch.equal(theta(one)[name], theta(two)[name]) for name in shared)
    assert one.dataset.index_hash == two.dataset.index_hash


def test_seeds_differ_and_seed_0_is_a_seed(composed: Config) -> None:
    runs = [build(composed(*SMALL, f"seed={seed}")) for seed in (0, 0, 1)]
    assert torch.equal(runs[0].batches.batch(0).rows, runs[1].batches.batch(0).rows)
    assert not torch.equal(runs[0].batches.batch(0).rows, runs[2].batches.batch(0).rows)
    name = "deltas.0_q.A"
    assert torch.equal(theta(runs[0])[name], theta(runs[1])[name])
    assert not torch.equal(theta(runs[0])[name], theta(runs[2])[name])


def test_a_loss_that_is_not_finite_says_where(composed: Config) -> None:
    experiment = build(composed(*SMALL))
    original = experiment.loss
    calls = []

    def breaks(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return original(logits, labels) * (math.inf if len(calls) == 3 else 1.0)

    experiment.loss = breaks
    seen: list[dict[str, torch.Tensor]] = []

    def consume() -> None:
        parts = (experiment.plan, experiment.model, experiment.batches, breaks, experiment.optimizers, None)
        for _ in fit(*parts, start=0, seed=0, device=experiment.device):
            seen.append(theta(experiment))

    with pytest.raises(Diverged, match="step 3") as caught:
        consume()
    assert caught.value.last is not None
    assert caught.value.last.number == 2
    assert all(torch.equal(value, seen[-1][name]) for name, value in theta(experiment).items())
