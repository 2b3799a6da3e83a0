"""The text tower runs once for cells that leave it alone, and without a graph once while a cell stays as it is."""

from contextlib import nullcontext

import pytest
import torch
from fixtures.duo import pair_of, pictures
from torch.func import functional_call


def calls(made):
    """How often the text tower runs from here on."""
    counted = []
    made.backbone.model.text.register_forward_hook(lambda *_: counted.append(1))
    return counted


@pytest.mark.parametrize(
    ("words", "num"),
    [
        (("peft=lora", "placement.tower=image"), 1),
        (("peft=linear_probe",), 1),
        (("peft=bitfit", "placement.tower=image", "peft.outside_blocks=false"), 1),
        (("peft=lora", "placement.tower=text"), 3),
        (("peft=lora", "placement.tower=both"), 3),
        (("peft=bitfit", "placement.tower=text"), 3),
        (("peft=coop",), 3),
        (("peft=cocoop", "peft.words=abc", "peft.num_tokens=3"), 3),
    ],
)
def test_how_often_it_runs(words, num):
    made = pair_of(*words)
    counted = calls(made)
    for seed in range(3):
        made.logits(pictures(2, seed))
    assert len(counted) == num


TEXTS = [
    ("peft=lora", "placement.tower=both"),
    ("peft=lora", "placement.tower=text", "scaling=meta"),
    ("peft=bitfit", "placement.tower=text"),
    ("peft=full",),
    ("peft=coop",),
    ("peft=maple", "peft.words=abc", "peft.num_tokens=3"),
    ("peft=clip_adapter", "peft.depth=all"),
]


@pytest.mark.parametrize("words", TEXTS)
def test_without_a_graph_it_runs_once_while_the_cell_stays_as_it_is(words):
    made, fresh = pair_of(*words), pair_of(*words)
    counted = calls(made)

    def check(num):
        for seed in range(2):
            with torch.no_grad():
                ours = made.logits(pictures(2, seed))
            wanted = fresh.logits(pictures(2, seed))  # with a graph, so nothing is kept
            assert torch.equal(ours, wanted)
        assert len(counted) == num

    check(1)
    for num, name in enumerate(dict(made.cell.named_parameters()), start=2):
        for one in (made, fresh):
            with torch.no_grad():
                dict(one.cell.named_parameters())[name].mul_(1.5)
        check(num)
    state = {name: value * 0.5 for name, value in made.cell.state().items() if value.is_floating_point()}
    for one in (made, fresh):
        one.cell.load_state({**one.cell.state(), **state})
    before = len(counted)
    check(before + 1)


def test_values_in_a_cells_place_have_classes_of_their_own():
    made = pair_of("peft=coop")
    images, names = pictures(2), dict(made.cell.named_parameters())
    with torch.no_grad():
        first = made.logits(images)
        for factor in (2, 3):
            moved = {name: value * factor for name, value in names.items()}
            found = functional_call(made.cell, moved, (made.network, {"images": images}))
            assert not torch.equal(found, first)
            first = found


@pytest.mark.parametrize("graph", [True, False])
def test_what_is_drawn_is_drawn_anew(graph):
    made = pair_of("peft=lora", "placement.tower=text", "peft.dropout=0.5")
    made.cell.train()
    counted = calls(made)
    with nullcontext() if graph else torch.no_grad():
        for seed in range(2):
            made.network.features(
                [made.cell], {"images": pictures(2)}, [{"rng": torch.Generator().manual_seed(seed)}]
            )
    assert len(counted) == 2


def test_kept_classes_are_those_of_a_forward_of_their_own():
    made = pair_of("peft=lora", "placement.tower=image")
    images = pictures(3)
    frozen = made.backbone.features({"images": images})
    for _ in range(2):
        features = made.network.features([made.cell], {"images": images})[0]
        assert torch.equal(features[3:], frozen[3:])
    images = pictures(2).requires_grad_()
    made.logits(images).sum().backward()
    assert images.grad.abs().sum() > 0


def test_another_precision_has_classes_of_its_own():
    made = pair_of("peft=lora", "placement.tower=image")
    counted = calls(made)
    made.backbone.model.float()
    made.cell.float()
    images = pictures(2).float()
    plain = made.network.features([made.cell], {"images": images})[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = made.network.features([made.cell], {"images": images})[0]
    assert len(counted) == 2
    assert not torch.equal(plain[2:], half[2:].float())
