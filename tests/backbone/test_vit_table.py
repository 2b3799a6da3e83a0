"""The table of places against timm's own modules."""

import pytest
import timm
import torch
from torch import nn

from peftlab.backbone.vit_table import vit_table
from peftlab.errors import UserError
from peftlab.site import NORM, POSITIONS, Site

FAMILIES = ("plain", "dinov2", "clip", "average")


@pytest.fixture(scope="module")
def on_meta():
    def make(name, **model_args):
        with torch.device("meta"):
            return timm.create_model(name, num_classes=0, **model_args)

    return make


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_belongs_to_one_place_or_to_the_outside(family, name):
    """And the three parts of a fused qkv share out its rows."""
    backbone = family(name)
    covered = {key: [(0, 1)] for key in backbone.outside}
    for site, place in backbone.places.items():
        for key, part in place.parameters:
            assert key.startswith(f"blocks.{site.block}.")
            covered[key] = [*covered.get(key, []), part]
    assert covered.keys() == dict(backbone.model.named_parameters()).keys()
    for key, parts in covered.items():
        assert sorted(parts) == ([(0, 3), (1, 3), (2, 3)] if ".attn.qkv." in key else [(0, 1)])


@pytest.mark.parametrize("name", FAMILIES)
def test_ports_are_modules_with_these_widths(family, name):
    backbone = family(name)
    modules = dict(backbone.model.named_modules())
    widths = {}
    for path, module in modules.items():
        module.register_forward_hook(
            lambda _, args, out, path=path: widths.update({path: (args[0].shape[-1], out.shape[-1])})
        )
    size = backbone.input_spec.size
    backbone.model(torch.zeros(1, 3, size, size))
    for module in modules.values():
        module._forward_hooks.clear()
    assert {site.block for site in backbone.places} == {0, 1}
    assert {site.position for site in backbone.places} == set(POSITIONS)
    for place in backbone.places.values():
        assert (place.input.side, place.output.side) == ("in", "out")
        assert widths[place.input.module][0] == place.num_in
        assert widths[place.output.module][1] == place.num_out * place.output.part[1]
        assert place.residual is None or widths[place.residual.module][0] == 16


def test_what_each_position_is():
    model = nn.Module()
    model.blocks = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1).blocks
    depth, places, outside = vit_table(model, "cut")
    assert (depth, outside) == (1, ())
    modules = {site.position: (place.input.module, place.output.module) for site, place in places.items()}
    inside = {"q": "attn.qkv", "k": "attn.qkv", "v": "attn.qkv", "out": "attn.proj", "mlp1": "mlp.fc1"}
    inside |= {"mlp2": "mlp.fc2", "attn": "attn", "ffn": "mlp", "norm1": "norm1", "norm2": "norm2"}
    assert modules == {key: (f"blocks.0.{path}",) * 2 for key, path in inside.items()}
    parts = {position: places[Site(0, position)].output.part for position in ("q", "k", "v", "out")}
    assert parts == {"q": (0, 3), "k": (1, 3), "v": (2, 3), "out": (0, 1)}
    residual = {position: places[Site(0, position)].residual for position in ("attn", "ffn")}
    assert {position: (port.module, port.side) for position, port in residual.items()} == {
        "attn": ("blocks.0.norm1", "in"),
        "ffn": ("blocks.0.norm2", "in"),
    }


def test_what_belongs_to_no_linear_layer_goes_with_its_sublayer_s_norm(family):
    places = family("dinov2").places
    owned = {name: {key[9:] for key, _ in places[Site(0, name)].parameters} for name in NORM}
    assert {"norm1.weight", "ls1.gamma", "attn.q_norm.bias", "attn.k_norm.weight"} <= owned["norm1"]
    assert owned["norm2"] == {"norm2.weight", "norm2.bias", "ls2.gamma"}


REFUSED = {
    "resnet18": "has no `blocks`",
    "swin_tiny_patch4_window7_224": "has no `blocks`",
    "eva02_base_patch14_224": "block 0 has no plain attn.qkv",
    "vit_base_patch16_xp_224": "block 0 has no plain norm1",
    "vitamin_small_224": "block 0 has no plain mlp.fc1",
    "aimv2_large_patch14_224": "block 0 has no plain mlp.fc1",
    "vit_giant_patch14_dinov2": r"block 0 has a gated MLP \(mlp.fc1 gives 8192, mlp.fc2 takes 4096\)",
    "hiera_tiny_224": "has blocks of several widths",
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_architectures_are_refused_in_one_sentence(on_meta, name):
    with pytest.raises(
        UserError, match=f"^backbone.name={name}:? {REFUSED[name]}.*; legal: timm's plain ViTs"
    ) as error:
        vit_table(on_meta(name), name)
    assert "\n" not in str(error.value)


def test_a_place_that_does_not_exist_is_named_with_those_that_do(family):
    with pytest.raises(UserError, match=r"no place 1\.gate; legal in block 1: attn, ffn, k, mlp1"):
        family("plain").place(Site(1, "gate"))
