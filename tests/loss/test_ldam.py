"""Margins of LDAM against the equation item by item, and its weights from a share of the training on."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.fit.fit import fit
from peftlab.loss.class_balanced import class_balanced
from peftlab.loss.ldam import Ldam

COUNTS = torch.tensor([256, 81, 0, 16])
LOGITS = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 3, 3, 0, 1])
KEYS: dict[str, Any] = {"max_margin": 0.5, "scale": 30.0, "after": 0.8, "beta": 0.999}


def test_it_is_the_equation() -> None:
    margin = {0: 0.5 * 2 / 4, 1: 0.5 * 2 / 3, 3: 0.5}  # n^(-1/4) is 1/4, 1/3, 1/2
    each = []
    for row, label in zip(LOGITS.tolist(), LABELS.tolist(), strict=True):
        own = [value - 30 * margin[label] * (k == label) for k, value in enumerate(row)]
        each.append(math.log(sum(math.exp(value) for value in own)) - own[label])
    assert Ldam(COUNTS, **KEYS)(LOGITS, LABELS).item() == pytest.approx(sum(each) / 6, rel=1e-9)


def test_without_a_margin_it_is_cross_entropy_and_then_class_balanced() -> None:
    loss = Ldam(COUNTS, **{**KEYS, "max_margin": 0})
    assert torch.equal(loss(LOGITS, LABELS), F.cross_entropy(LOGITS, LABELS))
    loss.at(0.79)
    assert (loss.phase, loss(LOGITS, LABELS)) == (0, F.cross_entropy(LOGITS, LABELS))
    loss.at(0.8)
    wanted = class_balanced(COUNTS, beta=0.999)(LOGITS, LABELS)
    assert (loss.phase, loss(LOGITS, LABELS)) == (1, wanted)
    assert wanted != F.cross_entropy(LOGITS, LABELS)
    loss.at(0.5)
    assert torch.equal(loss(LOGITS, LABELS), F.cross_entropy(LOGITS, LABELS))


@pytest.mark.parametrize(("after", "phases"), [(None, [0, 0, 0]), (0, [1, 1, 1]), (0.5, [0, 1, 1])])
def test_when_weights_come_in(after: float | None, phases: list[int]) -> None:
    loss = Ldam(COUNTS, **{**KEYS, "after": after})
    found = []
    for share in (0.0, 0.5, 0.99):
        loss.at(share)
        found.append(loss.phase)
    assert found == phases


SMALL = ("backbone=tiny", "fit.epochs=5", "fit.batch_size=128", "device=cpu", "loss=ldam")


def test_a_run_says_to_the_loss_how_far_it_is(composed: Any) -> None:
    """Also one that goes on in the middle, and the scale is the head's."""
    config = composed(*SMALL)
    assert config["loss"]["scale"] == config["head"]["scale"] == 25
    assert composed(*SMALL, "head=linear", "head.init=random")["loss"]["scale"] == 1
    for start in (0, 3):
        experiment = build(resolve(config))
        loss, phases = experiment.learner.loss, []
        for _ in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=start):
            phases.append(loss.phase)
        num = experiment.schedule.num_steps
        assert phases == [int(index >= 0.8 * num) for index in range(start, num)]


def test_a_run_that_goes_on_equals_one_that_never_stopped(composed: Any) -> None:
    whole, first, second = (build(resolve(composed(*SMALL))) for _ in range(3))
    for _ in fit(whole.resolved.fit, whole.network, [whole.learner], start=0):
        pass
    middle = int(0.9 * whole.schedule.num_steps)
    for happened in fit(first.resolved.fit, first.network, [first.learner], start=0):
        if happened[0].number == middle:
            break
    second.learner.load_state(first.learner.state())
    for _ in fit(second.resolved.fit, second.network, [second.learner], start=middle):
        pass
    wanted = whole.cell.state()
    assert all(torch.equal(value, wanted[name]) for name, value in second.cell.state().items())


def test_the_weights_change_the_training(composed: Any) -> None:
    states = []
    for after in ("0.8", "null"):
        experiment = build(resolve(composed(*SMALL, f"loss.after={after}")))
        for _ in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0):
            pass
        states.append(experiment.cell.state())
    assert any(not torch.equal(value, states[1][name]) for name, value in states[0].items())
