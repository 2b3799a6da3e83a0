"""The text tower runs once for cells that leave it alone."""

import pytest
import torch
from fixtures.duo import pair_of, pictures


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
