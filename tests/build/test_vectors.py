"""The image tower is run once for all that leave it alone, and the numbers are what they are without that."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fixtures.configs import composed

from peftlab.build import trunk
from peftlab.build.experiment import build
from peftlab.build.new_classes import on_new_classes
from peftlab.config.resolve import resolve

WORDS = ("backbone=tiny_duo", "task=contrast", "dataset=digits_lt", "dataset.classes=base")
ALONE = [
    ("peft=linear_probe",),
    ("peft=coop",),
    ("peft=cocoop", "peft.num_tokens=8"),
    ("peft=lora", "placement.tower=text"),
    ("peft=clip_adapter", "peft.depth=text"),
]
TOUCHED = [
    ("peft=maple", "peft.num_tokens=6"),
    ("peft=lora",),
    ("peft=clip_adapter",),
    ("peft=bitfit", "placement.tower=image"),
]


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trunk._shared, "vectors", type(trunk._shared["vectors"])())


def made(*words: str) -> Any:
    experiment = build(resolve(composed(*WORDS, *words)))
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in experiment.cell.theta().values():
            value.add_(0.3 * torch.randn(value.shape, generator=rng))
    experiment.cell.eval()
    return experiment


def counted(experiment: Any) -> Callable[[], int]:
    """Images that went through the first block of their tower."""
    block: Any = experiment.trunk.backbone.model.get_submodule("image.trunk.blocks.0.norm1")
    seen: list[int] = []
    block.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    return lambda: sum(seen)


@torch.no_grad()
def answers(experiment: Any, split: Any, *, shared: bool) -> Any:
    outputs = experiment.outputs(is_test=True, split=split if shared else None)
    return torch.cat([outputs(batch.inputs) for batch in experiment.trunk.batches(split)])


@pytest.mark.parametrize("words", [*ALONE, *TOUCHED], ids=" ".join)
def test_what_is_said_is_the_same(words: tuple[str, ...]) -> None:
    experiment = made(*words)
    split = experiment.trunk.dataset.open_test()
    plain = answers(experiment, split, shared=False)
    for _ in range(2):
        assert torch.equal(answers(experiment, split, shared=True), plain)
    other, new = on_new_classes(experiment)  # type: ignore[misc]
    assert torch.equal(answers(other, new, shared=True), answers(other, new, shared=False))


@pytest.mark.parametrize("words", ALONE, ids=" ".join)
def test_the_image_tower_is_run_once(words: tuple[str, ...]) -> None:
    experiment, other, third = made(*words), made("peft=coop", "seed=1"), made("peft=lora")
    split = experiment.trunk.dataset.open_test()
    seen = counted(experiment)
    answers(experiment, split, shared=True)
    assert seen() == len(split)
    answers(experiment, split, shared=True)
    answers(other, split, shared=True)
    frozen = third.frozen(split)
    for batch in experiment.trunk.batches(split):
        frozen(batch.inputs)
    assert seen() == len(split)


@pytest.mark.parametrize("words", TOUCHED, ids=" ".join)
def test_what_acts_in_the_image_tower_runs_it(words: tuple[str, ...]) -> None:
    experiment, other = made(*words), made("peft=coop")
    split = experiment.trunk.dataset.open_test()
    answers(other, split, shared=True)
    seen = counted(experiment)
    answers(experiment, split, shared=True)
    assert seen() == len(split)


def test_views_of_an_image_are_each_computed() -> None:
    experiment = made("peft=coop", "dataset.views=five_crop")
    split = experiment.trunk.dataset.open_test()
    seen = counted(experiment)
    answers(experiment, split, shared=True)
    assert seen() == 5 * len(split)
