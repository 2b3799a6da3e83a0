"""Only the layer norms."""

import copy

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.layernorm import LayerNorm
from peftlab.peft.weights import Weight
from peftlab.site import Site


@pytest.mark.parametrize(
    ("outside", "names"), [(False, ["blocks.0.norm1.weight"]), (True, ["blocks.0.norm1.weight", "norm.bias"])]
)
def test_names(hand_made, outside, names):
    site = Site(0, "norm1")
    inside = [
        Weight(f"blocks.0.{name}", (0, 1), torch.zeros(2), site) for name in ("norm1.weight", "ls1.gamma")
    ]
    others = [Weight(name, (0, 1), torch.zeros(2), None) for name in ("pos_embed", "norm.bias")]
    chosen = LayerNorm(outside_blocks=outside).choose(hand_made(inside, outside=others))
    assert [(item.name, mask) for item, mask in chosen] == [(name, None) for name in names]


def test_no_norm_is_an_error_not_a_linear_probe(hand_made):
    weights = hand_made([Weight("blocks.0.attn.qkv.weight", (0, 3), torch.zeros(2), Site(0, "q"))])
    with pytest.raises(UserError, match="the chosen sites have no layer norm"):
        LayerNorm(outside_blocks=False).choose(weights)


@pytest.mark.parametrize(("outside", "count"), [(True, 38_400), (False, 36_864)])
def test_counts_on_vit_base(recipe, vit_base, adapt, outside, count):
    """(2 * 12 + 1) norms of 2 * 768."""
    model, _ = adapt(recipe("layernorm", **{"peft.outside_blocks": outside}), vit_base)
    assert model.num_parameters()["selected"] == count


@pytest.mark.parametrize("position", ["norm1", "norm2"])
def test_one_of_the_two_norms(recipe, vit_base, adapt, position):
    config = recipe("layernorm", cells={f"0-2.{position}": {}}, **{"peft.outside_blocks": False})
    model, _ = adapt(config, vit_base)
    assert model.cell.selected.weights().keys() == {
        f"blocks.{block}.{position}.{name}" for block in range(3) for name in ("weight", "bias")
    }


@pytest.mark.parametrize("name", ["plain", "dinov2", "clip", "average", "eva02", "swin"])
def test_every_layer_norm_of_every_family_and_nothing_else(recipe, family, adapt, name):
    backbone = family(name)
    model, _ = adapt(recipe("layernorm"), backbone)
    norms = {
        f"{path}.{key}"
        for path, module in backbone.model.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
        for key, _ in module.named_parameters()
    }
    assert model.cell.selected.weights().keys() == norms


@pytest.mark.filterwarnings("ignore:Unsupported layer type")  # timm's LayerNorm is a subclass of torch's
def test_it_trains_what_hugging_face_peft_trains(recipe, family, adapt):
    """LN tuning on the same timm model: the same weights, and as many of them."""
    peft = pytest.importorskip("peft")
    backbone = family("plain")
    theirs = peft.get_peft_model(
        copy.deepcopy(backbone.model), peft.LNTuningConfig(target_modules=r"blocks\.\d+\.norm[12]|norm")
    )
    trained = {
        name.removeprefix("base_model.model.").replace("ln_tuning_layers.default.", "")
        for name, value in theirs.named_parameters()
        if value.requires_grad
    }
    model, _ = adapt(recipe("layernorm"), backbone)
    assert set(model.cell.selected.weights()) == trained
