"""Biases only."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.bitfit import Bitfit
from peftlab.peft.weights import Weight
from peftlab.site import Site


def weight(name, site=None):
    return Weight(name, (0, 1), torch.zeros(2), site)


INSIDE = [
    weight(f"blocks.0.{name}", Site(0, "q")) for name in ("norm1.weight", "norm1.bias", "attn.qkv.bias")
]
OUTSIDE = [weight(name) for name in ("pos_embed", "patch_embed.proj.bias", "norm.bias")]


@pytest.mark.parametrize(("outside", "expected"), [(False, INSIDE[1:]), (True, INSIDE[1:] + OUTSIDE[1:])])
def test_names(hand_made, outside, expected):
    chosen = Bitfit(outside_blocks=outside).choose(hand_made(INSIDE, outside=OUTSIDE))
    assert [item.name for item, _ in chosen] == [item.name for item in expected]
    assert all(mask is None for _, mask in chosen)


def test_no_bias_is_an_error_not_a_linear_probe(hand_made):
    weights = hand_made([weight("blocks.0.attn.qkv.weight", Site(0, "q"))], outside=OUTSIDE)
    with pytest.raises(UserError, match="no module of the chosen sites has a bias"):
        Bitfit(outside_blocks=False).choose(weights)


@pytest.mark.parametrize(("outside", "count"), [(False, 101_376), (True, 102_912)])
def test_counts_on_vit_base(recipe, vit_base, adapt, outside, count):
    """methods.md 2.8."""
    model, _ = adapt(recipe("bitfit", **{"peft.outside_blocks": outside}), vit_base)
    assert model.num_parameters()["selected"] == count
    assert model.num_parameters()["delta"] == model.num_parameters()["gamma"] == 0


@pytest.mark.parametrize("position", ["q", "k", "v"])
def test_a_third_of_the_fused_bias(recipe, vit_base, adapt, position):
    config = recipe("bitfit", cells={f"0-2.{position}": {}}, **{"peft.outside_blocks": False})
    model, _ = adapt(config, vit_base)
    assert model.num_parameters()["selected"] == 3 * 768


@pytest.mark.parametrize(("position", "count"), [("q", 16), ("k", 0), ("v", 16)])
def test_a_bias_beside_its_matrix(recipe, family, adapt, position, count):
    """EVA-02 has separate matrices, and k has no bias."""
    config = recipe("bitfit", cells={f"0.{position}": {}}, **{"peft.outside_blocks": False})
    if not count:
        with pytest.raises(UserError, match="no module of the chosen sites has a bias"):
            adapt(config, family("eva02"))
        return
    assert adapt(config, family("eva02"))[0].num_parameters()["selected"] == count
