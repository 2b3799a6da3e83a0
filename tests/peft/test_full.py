"""Everything, or everything of the chosen sites; `partial` is everything of the last blocks."""

import pytest
import torch

from peftlab.peft.full import Full
from peftlab.peft.weights import Weight
from peftlab.site import Site


def test_names(hand_made):
    inside = [Weight(name, (0, 1), torch.zeros(1), Site(0, "q")) for name in "ab"]
    weights = hand_made(inside, outside=[Weight("c", (0, 1), torch.zeros(1), None)])
    for outside, names in ((False, "ab"), (True, "abc")):
        chosen = Full(outside_blocks=outside).choose(weights)
        assert [(item.name, mask) for item, mask in chosen] == [(name, None) for name in names]


def test_the_whole_backbone_is_trained(recipe, vit_base, adapt):
    model, _ = adapt(recipe("full"), vit_base)
    assert model.num_parameters()["selected"] == sum(value.numel() for value in vit_base.model.parameters())


def test_a_part_of_it(recipe, vit_base, adapt):
    config = recipe("full", cells={"3.v": {}, "3.mlp2": {}}, **{"peft.outside_blocks": False})
    model, _ = adapt(config, vit_base)
    assert model.num_parameters()["selected"] == 768 * 769 + 768 * 3073


@pytest.mark.parametrize(("depth", "num_blocks"), [(-1, 1), ("-4--1", 4)])
def test_partial_is_the_last_blocks(recipe, vit_base, adapt, depth, num_blocks):
    """12 d^2 + 13 d weights a block: 7,087,872 of ViT-B."""
    model, _ = adapt(recipe("partial", **{"peft.depth": depth}), vit_base)
    assert model.num_parameters()["selected"] == num_blocks * 7_087_872
    first = 12 - num_blocks
    assert all(int(name.split(".")[1]) >= first for name in model.cell.selected.weights())


@pytest.mark.parametrize("name", ["plain", "dinov2", "clip", "average", "eva02", "swin"])
def test_every_weight_of_every_family_is_reached(recipe, family, adapt, name):
    """LayerScale, the norms of q and k, register tokens, the norm before the blocks, tables of relative positions."""
    backbone = family(name)
    model, _ = adapt(recipe("full"), backbone)
    weights = model.cell.selected.weights()
    assert weights.keys() == dict(backbone.model.named_parameters()).keys()
    assert all(torch.equal(weights[key], value) for key, value in backbone.model.named_parameters())
