"""Biases only."""

import pytest

from peftlab.errors import UserError
from peftlab.peft.bitfit import bitfit


def test_names():
    inside = ["blocks.0.norm1.weight", "blocks.0.norm1.bias", "blocks.0.attn.qkv.bias"]
    outside = ["pos_embed", "patch_embed.proj.bias", "norm.bias"]
    assert bitfit(inside, outside, outside_blocks=False) == inside[1:]
    assert bitfit(inside, outside, outside_blocks=True) == inside[1:] + outside[1:]


def test_no_bias_is_an_error_not_a_linear_probe():
    with pytest.raises(UserError, match="no module of the chosen sites has a bias"):
        bitfit(["blocks.0.attn.qkv.weight"], ["norm.bias"], outside_blocks=False)


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
