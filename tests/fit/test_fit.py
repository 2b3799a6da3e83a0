"""The training loop against closed forms and against itself, stopped and resumed."""

import math
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

import pytest
import torch

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolve import resolve
from peftlab.fit.fit import Diverged, Step, fit

SMALL = ("recipe=lift", "backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "head=linear")
Config = Callable[..., dict[str, Any]]


def made(config: dict[str, Any]) -> Experiment:
    """Everything of a run."""
    return build(resolve(config))


def rounds(experiment: Experiment, start: int = 0) -> Iterator[Step | Diverged]:
    """What happens to an experiment in each step from `start`."""
    for happened in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=start):
        assert happened.keys() == {0}
        yield happened[0]


def steps(experiment: Experiment, start: int = 0) -> list[Step]:
    """All steps of an experiment from `start`."""
    done = list(rounds(experiment, start))
    assert all(isinstance(step, Step) for step in done)
    return done


def theta(experiment: Experiment) -> dict[str, torch.Tensor]:
    """A copy of all that was trained."""
    return {name: value.detach().clone() for name, value in experiment.cell.theta().items()}


def test_accumulation_is_the_mean_over_all_images(composed: Config) -> None:
    whole, parts = (
        made(composed(*SMALL, f"fit.batch_size={size}", f"fit.accumulate={n}"))
        for size, n in ((64, 1), (16, 4))
    )
    for one, other in zip(steps(whole), steps(parts), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
    for name, value in theta(whole).items():
        torch.testing.assert_close(value, theta(parts)[name], rtol=1e-3, atol=1e-5)


def test_clipping_bounds_the_norm_of_the_step(composed: Config) -> None:
    clipped = made(composed(*SMALL, "fit.clip_norm=0.001", "optim.momentum=0", "optim.weight_decay=0"))
    before = theta(clipped)
    step = next(rounds(clipped))
    assert isinstance(step, Step)
    moved = (
        torch.cat([(value - before[name]).flatten() for name, value in theta(clipped).items()]).norm().item()
    )
    assert moved == pytest.approx(step.lr * 0.001, rel=1e-2)


@pytest.mark.parametrize("scaling", ["fixed", "learned", "meta"])
def test_gamma_has_an_owner_of_its_own(composed: Config, scaling: str) -> None:
    more = ("scaling.outer.warmup=2",) if scaling == "meta" else ()
    experiment = made(composed(*SMALL, f"scaling={scaling}", *more))
    groups = [group for optimizer in experiment.learner.optimizers for group in optimizer.param_groups]
    owned = [id(value) for group in groups for value in group["params"]]
    assert len(owned) == len(set(owned))
    own = [id(value) for group in experiment.learner.optimizers[0].param_groups for value in group["params"]]
    assert set(own) == {id(value) for value in experiment.cell.theta().values()}
    raw = experiment.cell.gamma.raw
    if scaling == "fixed":
        assert raw is None
    elif scaling == "learned":
        assert [id(raw)] == [
            id(value) for value in experiment.learner.optimizers[1].param_groups[0]["params"]
        ]
        assert experiment.learner.optimizers[1].param_groups[0]["weight_decay"] == 0
    else:
        assert experiment.learner.outer is not None
        assert id(raw) not in owned
        assert [id(raw)] == [
            id(value) for value in experiment.learner.outer.optimizer.param_groups[0]["params"]
        ]
        assert experiment.learner.outer.optimizer.param_groups[0]["weight_decay"] == 0


def test_learned_gamma_moves_and_fixed_meta_gamma_moves_only_in_outer_steps(composed: Config) -> None:
    learned = made(composed(*SMALL, "scaling=learned", "scaling.lr=0.1"))
    before = learned.cell.gamma.effective().detach().clone()
    steps(learned)
    assert (learned.cell.gamma.effective() - before).abs().min() > 0
    meta = made(
        composed(
            *SMALL, "scaling=meta", "scaling.outer.every=3", "scaling.outer.warmup=4", "scaling.outer.lr=0.1"
        )
    )
    seen = []
    for step in rounds(meta):
        assert isinstance(step, Step)
        seen.append((step.outer is not None, meta.cell.gamma.effective().detach().clone()))
    assert [index + 1 for index, (outer, _) in enumerate(seen) if outer] == [6, 9][: len(seen) // 3 - 1]
    for (_, old), (outer, new) in pairwise(seen):
        assert outer == bool((old != new).any())


def test_two_placements_differ_in_placement_only(composed: Config) -> None:
    one, two = (
        made(composed(*SMALL, f"placement.position={name}", "head.init=random")) for name in ("q", "[q,mlp1]")
    )
    assert torch.equal(
        one.learner.batches.batch(3).inputs["images"], two.learner.batches.batch(3).inputs["images"]
    )
    assert torch.equal(one.learner.batches.batch(3).rows, two.learner.batches.batch(3).rows)
    shared = theta(one).keys() & theta(two).keys()
    assert len(shared) == 2 * 2 + 2
    assert all(torch.equal(theta(one)[name], theta(two)[name]) for name in shared)
    assert one.trunk.dataset.index_hash == two.trunk.dataset.index_hash


def test_seeds_differ_and_seed_0_is_a_seed(composed: Config) -> None:
    runs = [made(composed(*SMALL, f"seed={seed}")) for seed in (0, 0, 1)]
    assert torch.equal(runs[0].learner.batches.batch(0).rows, runs[1].learner.batches.batch(0).rows)
    assert not torch.equal(runs[0].learner.batches.batch(0).rows, runs[2].learner.batches.batch(0).rows)
    name = "deltas.0_q.A"
    assert torch.equal(theta(runs[0])[name], theta(runs[1])[name])
    assert not torch.equal(theta(runs[0])[name], theta(runs[2])[name])


def test_a_loss_that_is_not_finite_says_where_and_leaves_theta_as_it_was(composed: Config) -> None:
    experiment = made(composed(*SMALL))
    original = experiment.learner.loss
    calls = []

    def breaks(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return original(logits, labels) * (math.inf if len(calls) == 3 else 1.0)

    experiment.learner.loss = breaks
    done, seen = [], []
    for step in rounds(experiment):
        done.append(step)
        seen.append(theta(experiment))
    *before, diverged = done
    assert [step.number for step in before if isinstance(step, Step)] == [1, 2]
    assert isinstance(diverged, Diverged)
    assert (diverged.step, diverged.value, diverged.last) == (3, math.inf, before[-1])
    assert str(diverged) == "the loss became inf in step 3"
    assert all(torch.equal(value, seen[1][name]) for name, value in seen[2].items())
    assert len(calls) == 3, "it went on after the loss was infinite"


def test_a_training_that_goes_on_is_one_that_never_stopped(composed: Config) -> None:
    """On a new experiment, from the state of the old one."""
    config = composed(*SMALL, "peft=adaptformer", "scaling=learned", "optim=adamw")
    whole, first, second = (made(config) for _ in range(3))
    done = steps(whole)
    stream = rounds(first)
    parts = [next(stream) for _ in range(3)]
    second.learner.load_state(first.learner.state())
    torch.manual_seed(12345)  # no global random state is read
    assert [*parts, *steps(second, 3)] == done
    for name, value in theta(whole).items():
        assert torch.equal(value, theta(second)[name])


@pytest.mark.parametrize("scaling", ["fixed", "learned", "meta"])
def test_a_compiled_training_is_the_eager_one(
    composed: Config, monkeypatch: pytest.MonkeyPatch, scaling: str
) -> None:
    """With what stays eager in it: the last batch, which is smaller, and outer steps. Also from the middle on."""
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    words = (*SMALL, f"scaling={scaling}", *(("scaling.outer.warmup=0",) if scaling == "meta" else ()))
    eager, whole, later = (
        made(composed(*words, f"fit.compile={compile}")) for compile in ("false", "true", "true")
    )
    expected, got = steps(eager), steps(whole)
    assert [step.loss for step in got] == pytest.approx([step.loss for step in expected], rel=1e-4)
    half = len(got) // 2
    for step in islice(rounds(later), half):
        assert isinstance(step, Step)
    assert [step.loss for step in steps(later, half)] == [step.loss for step in got[half:]]
    for name, value in theta(whole).items():
        torch.testing.assert_close(value, theta(eager)[name], rtol=1e-3, atol=1e-5)
        assert torch.equal(value, theta(later)[name])
