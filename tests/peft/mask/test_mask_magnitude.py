"""Absolute gradients instead of squared ones."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.mask.mask_fisher import MaskFisher
from peftlab.peft.mask.mask_magnitude import MaskMagnitude
from peftlab.peft.weights import Weight
from peftlab.site import Site

OPTIONS = {"keep_ratio": 0.25, "num_samples": 4, "count_head": False, "outside_blocks": False}
# sums of |g|: 4, 5, 4.5, 0; sums of g^2: 16, 13, 20.25, 0
GRADIENTS = [{"w": torch.tensor([4.0, -3.0, 0.0, 0.0])}, {"w": torch.tensor([0.0, 2.0, -4.5, 0.0])}]


@pytest.fixture
def weights(hand_made):
    return hand_made([Weight("w", (0, 1), torch.zeros(4), Site(0, "q"))], GRADIENTS)


def test_the_sum_of_absolute_values_decides(weights):
    ((_, mask),) = MaskMagnitude(**OPTIONS).choose(weights)
    assert mask.tolist() == [False, True, False, False]
    ((_, other),) = MaskFisher(fisher="empirical", **OPTIONS).choose(weights)
    assert other.tolist() == [False, False, True, False]


def test_the_ratio_is_of_the_whole_backbone_and_the_placement_restricts(hand_made):
    inside = [Weight("w", (0, 1), torch.zeros(4), Site(0, "q"))]
    weights = hand_made(inside, GRADIENTS, num_backbone=12)
    ((_, mask),) = MaskMagnitude(**OPTIONS).choose(weights)
    assert mask.tolist() == [True, True, True, False]
    with pytest.raises(
        UserError, match=r"a budget of 6 of 12 weights, and the placement holds 4; legal: 0.333 or below"
    ):
        MaskMagnitude(**{**OPTIONS, "keep_ratio": 0.5}).choose(weights)


def test_outside_the_blocks(hand_made):
    outside = [Weight("w", (0, 1), torch.zeros(4), None)]
    inside = [Weight("v", (0, 1), torch.zeros(4), Site(0, "q"))]
    gradients = [{**gradient, "v": torch.ones(4)} for gradient in GRADIENTS]
    weights = hand_made(inside, gradients, outside)
    chosen = MaskMagnitude(**{**OPTIONS, "keep_ratio": 0.375, "outside_blocks": True}).choose(weights)
    assert [(weight.name, mask.tolist()) for weight, mask in chosen] == [("w", [True, True, True, False])]
