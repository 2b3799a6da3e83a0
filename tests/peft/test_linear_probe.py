"""Only the head."""

import torch

from peftlab.peft.linear_probe import LinearProbe
from peftlab.peft.weights import Weight
from peftlab.site import Site


def test_nothing_of_the_backbone(hand_made):
    inside = [Weight("blocks.0.attn.qkv.bias", (0, 3), torch.zeros(2), Site(0, "q"))]
    outside = [Weight("norm.bias", (0, 1), torch.zeros(2), None)]
    assert LinearProbe().choose(hand_made(inside, outside=outside)) == []


def test_only_the_head_trains(recipe, family, adapt):
    model, _ = adapt(recipe("linear_probe"), family("plain"))
    assert set(model.theta()) == {"head.weight"}
    numbers = model.num_parameters()
    assert (numbers["delta"], numbers["selected"], numbers["gamma"], numbers["head"]) == (0, 0, 0, 3 * 16)
