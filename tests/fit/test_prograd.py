"""The rule in closed form, and the steps of a run against gradients that are taken apart from it."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from peftlab.backbone.class_texts import class_texts
from peftlab.build.experiment import Experiment, build
from peftlab.build.trunk import open_trunk
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.fit.fit import Step, fit
from peftlab.fit.prograd import projected

Config = Callable[..., dict[str, Any]]
SGD = ("optim=sgd", "optim.momentum=0", "optim.weight_decay=0", "optim.lr=0.1", "device=cpu")
SMALL = ("backbone=tiny", "fit.batch_size=64", "fit.epochs=2", *SGD)
DUO = ("backbone=tiny_duo", "task=contrast", "fit.batch_size=64", "fit.epochs=2", *SGD)
MAPLE = (
    "peft=maple",
    "peft.depth=0-1",
    "peft.num_tokens=2",
    "peft.words=x y",
    "head.learn_scale=true",
    "seed=3",
)


def steps(experiment: Experiment) -> Iterator[Step]:
    for happened in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0):
        step = happened[0]
        assert isinstance(step, Step)
        yield step


def built(config: dict[str, Any]) -> Experiment:
    """Of towers that have learned something else, so that some tensors are in conflict with the frozen ones."""
    experiment = build(resolve(config))
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in experiment.cell.theta().values():
            value += 0.3 * torch.randn(value.shape, generator=rng)
    return experiment


def moved(experiment: Experiment) -> dict[str, Tensor]:
    """What the first step of SGD took, by its rate: the gradient."""
    before = {name: value.detach().clone() for name, value in experiment.cell.theta().items()}
    step = next(steps(experiment))
    return {
        name: (before[name] - value.detach()) / step.lr for name, value in experiment.cell.theta().items()
    }


def trained(experiment: Experiment) -> dict[str, Tensor]:
    for _ in steps(experiment):
        pass
    return {name: value.detach().clone() for name, value in experiment.cell.state().items()}


def test_what_goes_against_the_direction_is_taken_out() -> None:
    own, general = torch.tensor([[1.0, -3.0], [2.0, 0.5]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    assert torch.equal(projected(own, general, 1.0), torch.tensor([[1.0, 0.0], [2.0, 0.5]]))
    assert torch.equal(projected(own, general, 0.5), torch.tensor([[1.0, -1.5], [2.0, 0.5]]))


def test_what_does_not_stays_bit_for_bit() -> None:
    own, general = (torch.randn(7, 5, generator=torch.manual_seed(seed)) for seed in (0, 1))
    general = general if (own * general).sum() > 0 else -general
    assert torch.equal(projected(own, general, 1.0), own)
    assert torch.equal(projected(own, torch.zeros_like(own), 1.0), own)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e15])
def test_only_the_direction_counts(size: float) -> None:
    own, general = (torch.randn(40, generator=torch.manual_seed(seed)).double() for seed in (0, 1))
    general = general if (own @ general) < 0 else -general
    found = projected(own, size * general, 1.0)
    assert found.isfinite().all()
    if size > 1e-12:
        torch.testing.assert_close(found @ general, torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-12)
        torch.testing.assert_close(found, own - (own @ general) / (general @ general) * general)


def zero_shot(experiment: Experiment, images: Tensor) -> Tensor:
    """The frozen towers with the sentences of the data, called one by one."""
    assert experiment.task.named is not None
    words, templates = experiment.task.named
    opened: Any = open_trunk(experiment.resolved).backbone
    image, text = opened.towers
    vectors = []
    for word in words:
        rows = class_texts(text.input_spec, [[line.format(word)] for line in templates]).inputs
        own = F.normalize(text.read(opened.model.text, rows), dim=-1).mean(0)
        vectors.append(own / own.norm())
    seen = F.normalize(image.read(opened.model.image, {"images": images}), dim=-1)
    return opened.similarity[0] * seen @ torch.stack(vectors).T


def by_hand(experiment: Experiment, strength: float, num_batches: int) -> tuple[dict[str, Tensor], set[bool]]:
    """The gradient of the first step, and whether some tensor is in conflict and some is not."""
    group = list(islice(experiment.learner.batches.iterate(0), num_batches))
    total = sum(len(batch.targets) for batch in group)
    theta = experiment.cell.theta()
    own: Any = 0.0
    general: Any = 0.0
    for batch in group:
        (outputs,) = experiment.network.outputs([experiment.cell], batch.inputs, [experiment.learner.now(0)])
        own = own + experiment.learner.loss(outputs, batch.targets) * len(batch.targets) / total
        with torch.no_grad():
            known = zero_shot(experiment, batch.inputs["images"]).log_softmax(-1)
        kl = (known.exp() * (known - outputs.log_softmax(-1))).sum() / total
        general = general + kl
    firsts = torch.autograd.grad(own, list(theta.values()), retain_graph=True)
    seconds = torch.autograd.grad(general, list(theta.values()))
    found, seen = {}, set()
    for name, g, h in zip(theta, firsts, seconds, strict=True):
        dot = (g * h).sum()
        seen.add(bool(dot < 0))
        found[name] = g - strength * dot / (h * h).sum() * h if dot < 0 else g
    return found, seen


@pytest.mark.parametrize(
    ("words", "strength", "num_batches"),
    [
        (MAPLE, 1.0, 1),
        ((*MAPLE, "fit.batch_size=32"), 0.7, 2),
        (("peft=coop", "loss=logit_adjusted"), 1.0, 2),
        (("peft=cocoop", "peft.num_tokens=2", "peft.words=x y", "fit.batch_size=16"), 1.0, 2),
    ],
)
def test_a_step_is_that_by_hand(
    composed: Config, words: tuple[str, ...], strength: float, num_batches: int
) -> None:
    own = composed(*DUO, *words, f"fit.prograd={strength}", f"fit.accumulate={num_batches}")
    other = composed(*DUO, *words)
    expected, seen = by_hand(built(other), strength, num_batches)
    if words[0] == "peft=maple":
        assert seen == {True, False}, "tensors in conflict, and others"
    found = moved(built(own))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=2e-3, atol=2e-5)


def test_it_changes_the_step_only_where_there_is_conflict(composed: Config) -> None:
    plain, held = (moved(built(composed(*DUO, *MAPLE, *more))) for more in ((), ("fit.prograd=1",)))
    same = {name: torch.equal(plain[name], held[name]) for name in plain}
    assert set(same.values()) == {True, False}


def test_the_teacher_of_a_classifier_is_the_frozen_network_with_class_means(composed: Config) -> None:
    words = (*SMALL, "fit.prograd=1", "peft=bitfit")
    experiment = build(resolve(composed(*words)))
    images = experiment.learner.batches.batch(0).inputs  # type: ignore[attr-defined]
    split = experiment.trunk.dataset.train
    frozen = experiment.frozen(split)
    assert frozen is not None
    rule: Any = experiment.learner.prograd
    expected = frozen(images)
    trained(experiment)
    assert torch.equal(rule._teacher(images), expected), "also after training"


@pytest.mark.parametrize(
    "words",
    [
        ("peft=coop", "backbone=tiny_duo", "task=contrast"),
        ("peft=vpt_deep",),
        ("peft=bitfit", "fit.mixup=0.5"),
    ],
)
def test_with_checkpointing_it_is_the_same_bit_for_bit(composed: Config, words: tuple[str, ...]) -> None:
    one, other = (
        trained(build(resolve(composed(*SMALL, *words, "fit.prograd=1", f"fit.checkpointing={flag}"))))
        for flag in ("false", "true")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_parts_of_a_step_are_a_step(composed: Config) -> None:
    words = (*SMALL, "fit.prograd=1", "dataset.imbalance=20")
    whole, parts = (
        trained(build(resolve(composed(*words, f"fit.batch_size={size}", f"fit.accumulate={number}"))))
        for size, number in ((64, 1), (16, 4))
    )
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=1e-3, atol=1e-4)


def test_gamma_is_meta_learned_beside_it(composed: Config) -> None:
    words = ("scaling=meta", "scaling.outer.warmup=1", "scaling.outer.every=1", "fit.prograd=1")
    experiment = build(resolve(composed(*SMALL, *words)))
    before = experiment.cell.gamma.effective().detach().clone()
    assert all(step.outer is not None for step in list(steps(experiment))[1:])
    assert (experiment.cell.gamma.effective() != before).any()
    rule: Any = experiment.learner.prograd
    assert {id(value) for value in rule.owned} == {id(value) for value in experiment.cell.theta().values()}


def test_in_bf16_it_is_near_that_in_fp32(composed: Config) -> None:
    words = (*DUO, "peft=coop", "fit.prograd=1")
    one, other = (moved(built(composed(*words, f"fit.precision={name}"))) for name in ("fp32", "bf16"))
    for name, value in one.items():
        assert F.cosine_similarity(value.flatten(), other[name].flatten(), dim=0) > 0.98


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("head.init=random",), "fit.prograd=1 wants classes that the frozen network knows, which head.init=random has"),
        (("fit.compile=true",), "fit.prograd=1 with fit.compile=true"),
        (("scaling=meta", "scaling/estimator=unrolled"), "with scaling/estimator=unrolled"),
        (("fit.prograd=0",), "fit.prograd=0 is not"),
    ],
)  # fmt: skip
def test_what_it_cannot_hold_to_is_refused(composed: Config, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError) as error:
        resolve(composed(*SMALL, "fit.prograd=1", *words))
    assert said in str(error.value)


def test_answers_have_no_classes(composed: Config, data_seen: Any) -> None:
    with data_seen(), pytest.raises(UserError, match="task=generate has none of"):
        resolve(composed("experiment=hlpt_text", "fit.prograd=1"))
