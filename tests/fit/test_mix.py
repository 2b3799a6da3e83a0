"""Mixed images: against torchvision's transforms, and the loss of a step against soft targets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms import v2

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.fit.fit import fit
from peftlab.fit.mix import mixed
from peftlab.fit.plan import Plan
from peftlab.inputs.batch import Batch
from peftlab.stream import stream_seed

Config = Callable[..., dict[str, Any]]
SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "optim.lr=0.1", "device=cpu")
IMAGES = torch.randn(6, 3, 20, 28, generator=torch.manual_seed(0))
LABELS = torch.tensor([0, 2, 1, 1, 3, 0])


def plan(composed: Config, **values: float) -> Plan:
    return resolve(composed(*SMALL, *(f"fit.{key}={value}" for key, value in values.items()))).fit


def batch() -> Batch:
    return Batch({"images": IMAGES.clone()}, LABELS, torch.arange(6))


def draws(*place: int) -> np.random.Generator:
    return np.random.default_rng(stream_seed(7, "mix", *place))


@pytest.mark.parametrize("step", range(4))
def test_mixup_is_torchvisions(composed: Config, step: int) -> None:
    found = mixed(plan(composed, mixup=0.8), batch(), 7, step, 0)
    theirs = v2.MixUp(alpha=0.8, num_classes=4)
    share = float(draws(step, 0).beta(0.8, 0.8))
    given = {"lam": share, "labels": LABELS, "batch_size": 6}
    assert torch.equal(found.inputs["images"], theirs.transform(IMAGES, given))
    assert found.mixed is not None
    assert found.mixed.share == share
    soft = share * F.one_hot(found.targets, 4) + (1 - share) * F.one_hot(found.mixed.targets, 4)
    torch.testing.assert_close(theirs.transform(LABELS, given), soft)


@pytest.mark.parametrize("step", range(8))
def test_cutmix_is_torchvisions(composed: Config, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    found = mixed(plan(composed, cutmix=1.0), batch(), 7, step, 1)
    theirs, rng = v2.CutMix(alpha=1.0, num_classes=4), draws(step, 1)
    share = float(rng.beta(1, 1))
    monkeypatch.setattr(theirs._dist, "sample", lambda shape: torch.tensor([share], dtype=torch.float64))
    drawn = iter([int(rng.integers(28)), int(rng.integers(20))])
    monkeypatch.setattr(torch, "randint", lambda high, size: torch.tensor([next(drawn)]))
    given = {**theirs.make_params([IMAGES]), "labels": LABELS, "batch_size": 6}
    assert torch.equal(found.inputs["images"], theirs.transform(IMAGES, given))
    assert found.mixed is not None
    assert found.mixed.share == pytest.approx(given["lam_adjusted"])


def test_with_both_a_coin_decides_and_all_is_a_function_of_seed_and_place(composed: Config) -> None:
    both = plan(composed, mixup=1.0, cutmix=1.0)
    found = [mixed(both, batch(), 7, step, 0) for step in range(40)]
    again = [mixed(both, batch(), 7, step, 0) for step in range(40)]
    assert all(torch.equal(a.inputs["images"], b.inputs["images"]) for a, b in zip(found, again, strict=True))
    shares = [one.mixed.share for one in found if one.mixed is not None]
    assert len(set(shares)) > 35
    cut = [
        ((one.inputs["images"] == IMAGES) | (one.inputs["images"] == IMAGES.roll(1, 0))).all()
        for one in found
    ]
    assert 10 < sum(map(int, cut)) < 30
    other = mixed(both, batch(), 8, 0, 0)
    assert other.mixed is not None
    assert other.mixed.share != shares[0]


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_all_frames_of_a_clip_are_mixed_alike(composed: Config, key: str) -> None:
    """By one share, or one box: a clip whose frames are one picture becomes one whose frames are one."""
    clips = IMAGES[:, None].expand(-1, 3, *IMAGES.shape[1:]).contiguous()
    own = plan(composed, **{key: 1.0})
    found = mixed(own, batch()._replace(inputs={"clips": clips}), 7, 0).inputs["clips"]
    assert torch.equal(found, found[:, :1].expand_as(found))
    torch.testing.assert_close(found[:, 0], mixed(own, batch(), 7, 0).inputs["images"])


@pytest.mark.parametrize("loss", ["cross_entropy", "logit_adjusted", "focal"])
def test_a_step_has_the_loss_of_both_labels(composed: Config, loss: str) -> None:
    words = (*SMALL, f"loss={loss}", "fit.mixup=1.0", "fit.accumulate=2")
    experiment, other = (build(resolve(composed(*words))) for _ in range(2))
    first = next(fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0))
    group = [batch for batch, _ in zip(other.learner.batches.iterate(0), range(2), strict=False)]
    total, value = sum(len(batch.targets) for batch in group), 0.0
    for at, batch in enumerate(group):
        share = float(np.random.default_rng(stream_seed(0, "mix", 0, at)).beta(1, 1))
        images = share * batch.inputs["images"] + (1 - share) * batch.inputs["images"].roll(1, 0)
        (outputs,) = other.network.outputs([other.cell], {"images": images}, [other.learner.now(0)])
        own, theirs = (
            other.learner.loss(outputs, labels) for labels in (batch.targets, batch.targets.roll(1))
        )
        value += ((share * own + (1 - share) * theirs) * len(batch.targets) / total).item()
        if loss == "cross_entropy":
            soft = share * F.one_hot(batch.targets, 10) + (1 - share) * F.one_hot(batch.targets.roll(1), 10)
            torch.testing.assert_close(
                F.cross_entropy(outputs, soft.float()), share * own + (1 - share) * theirs
            )
    assert first[0].loss == pytest.approx(value, rel=1e-5)  # type: ignore[union-attr]


def test_outer_steps_keep_their_images(composed: Config) -> None:
    """What the estimator of a meta-learned gamma steps on is never mixed."""
    words = ("scaling=meta", "scaling.outer.warmup=1", "scaling.outer.every=1", "fit.mixup=1.0")
    experiment = build(resolve(composed(*SMALL, *words)))
    outer = experiment.learner.outer
    assert outer is not None
    seen = []
    step = outer.step
    outer.step = lambda *given: (seen.append(list(outer.recent)), step(*given))[1]  # type: ignore[method-assign]
    for _ in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0):
        pass
    assert seen
    assert all(batch.mixed is None for batches in seen for batch in batches)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dataset=trec_lt", "backbone=tiny_text", "fit.mixup=0.2"), "fit.mixup=0.2 mixes images"),
        (("fit.cutmix=1", "fit.compile=true"), "fit.cutmix=1 with fit.compile=true"),
        (("fit.mixup=1", "scaling=meta", "scaling/estimator=unrolled"), "with scaling/estimator=unrolled"),
        (("fit.mixup=-1",), "fit.mixup=-1 is not"),
    ],
)
def test_what_cannot_be_mixed_is_refused(
    composed: Config, data_seen: Any, words: tuple[str, ...], said: str
) -> None:
    with data_seen(), pytest.raises(UserError) as error:
        resolve(composed(*SMALL[1:], *words))
    assert said in str(error.value)


def test_data_of_ones_own_without_images_are_refused(composed: Config) -> None:
    own = Batch({"points": IMAGES}, LABELS, torch.arange(6))
    with pytest.raises(UserError, match="mix images, and the data have points"):
        mixed(plan(composed, mixup=1.0), own, 0, 0)
