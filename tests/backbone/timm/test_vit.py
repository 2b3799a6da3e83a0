"""Stacks of equal blocks: what they are, which positions they lack and why."""

import pytest
import timm
import torch
from torch import nn

from peftlab.backbone.timm.vit import vit_table
from peftlab.errors import UserError
from peftlab.site import CROSS, OF_TWO_TOWERS, POSITIONS, SCAN, Site

PREFIX = {
    "plain": 1,
    "dinov2": 5,
    "siglip": 0,
    "distilled": 2,
    "dinov3": 5,
    "eva02": 1,
    "naflex": 4,
    "sam": 0,
}
REFUSED = {
    "beit": {"tokens": "relative positions"},
    "relpos": {"tokens": "relative positions"},
    "shared_relpos": {"tokens": "relative positions"},
    "sam": {"tokens": "a grid of patches", "kv": "a grid of patches"},
    "differential": {"kv": "DiffAttention"},
    "eva02": {},
    "plain": {},
}


@pytest.mark.parametrize("name", ["plain", "dinov2", "clip", "average", "eva02"])
def test_every_block_of_a_family_has_every_position(family, name):
    backbone = family(name)
    gate = {"gate"} if name == "eva02" else set()
    assert (
        set(backbone.positions)
        == set(POSITIONS) - {"gate", "xkv", "proj", *OF_TWO_TOWERS, *CROSS, *SCAN} | gate
    )
    assert set(backbone.places) == {Site(i, position) for i in (0, 1) for position in backbone.positions}
    assert (backbone.blocks, backbone.labels, backbone.depth) == (("blocks.0", "blocks.1"), ("0", "1"), 2)
    assert backbone.refused == {}


def test_what_each_position_is():
    model = nn.Module()
    model.blocks = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1).blocks
    model.num_prefix_tokens = 1
    table = vit_table(model, "cut")
    assert (table.depth, table.outside, table.num_prefix_tokens) == (1, (), 1)
    modules = {
        site.position: (place.input.module, place.output.module) for site, place in table.places.items()
    }
    inside = {"q": "attn.qkv", "k": "attn.qkv", "v": "attn.qkv", "out": "attn.proj", "mlp1": "mlp.fc1"}
    inside |= {
        "mlp2": "mlp.fc2",
        "attn": "attn",
        "ffn": "mlp",
        "norm1": "norm1",
        "norm2": "norm2",
        "kv": "attn",
    }
    assert modules.pop("tokens") == ("blocks.0", "blocks.0")
    assert modules == {key: (f"blocks.0.{path}",) * 2 for key, path in inside.items()}
    parts = {position: table.places[Site(0, position)].output.slice for position in ("q", "k", "v", "out")}
    assert parts == {"q": (0, 3), "k": (1, 3), "v": (2, 3), "out": (0, 1)}
    residual = {position: table.places[Site(0, position)].residual for position in ("attn", "ffn")}
    assert {position: (port.module, port.side) for position, port in residual.items()} == {
        "attn": ("blocks.0.norm1", "in"),
        "ffn": ("blocks.0.norm2", "in"),
    }


@pytest.mark.parametrize(
    ("kind", "attn", "ffn"),
    [
        ("dinov2", "ls1", "ls2"),
        ("packed", "ls1", "ls2"),
        ("beit", "drop_path1", "drop_path2"),
        ("dinov3", "drop_path1", "drop_path2"),
        ("grouped", "drop_path1", "mlp"),  # LayerScale behind attention alone
        ("eva02", "attn", "mlp"),
        ("siglip", "attn", "mlp"),
    ],
)
def test_a_sublayer_writes_behind_layer_scale(small, kind, attn, ffn):
    places = small(kind).table.places
    for position, body, end in (("attn", "attn", attn), ("ffn", "mlp", ffn)):
        place = places[Site(1, position)]
        assert place.input.module == f"blocks.1.{body}"
        assert (place.output.module, place.output.side) == (f"blocks.1.{end}", "out")


@pytest.mark.parametrize("kind", PREFIX)
def test_prefix_tokens_stand_before_the_patches(small, watch, kind):
    """What enters the first block is 16 patches and them."""
    assert small(kind).table.num_prefix_tokens == PREFIX[kind]
    length = watch(small(kind))["blocks.0"][0][0].flatten(0, -2).shape[0]
    assert length == PREFIX[kind] + 16


@pytest.mark.parametrize("kind", REFUSED)
def test_a_position_that_is_lacking_has_a_reason(small, kind):
    table = small(kind).table
    assert table.refused.keys() == REFUSED[kind].keys()
    assert not {site for site in table.places if site.position in table.refused}
    for position, words in REFUSED[kind].items():
        assert words in table.refused[position]


def test_attention_pooling_is_outside(small):
    pool = [key for key, _ in small("siglip").model.named_parameters() if key.startswith("attn_pool.")]
    assert pool
    assert set(pool) <= set(small("siglip").table.outside)


ARCHITECTURES = {
    "resnet18": "has no `blocks`",
    "maxvit_tiny_tf_224": "has no `blocks`",
    "mvitv2_tiny": "has no `blocks`",
    "hiera_tiny_224": "its blocks .HieraBlock. pool tokens inside attention",
    "cait_xxs24_224": "its blocks .LayerScaleBlock. mix their attention heads",
    "xcit_nano_12_p16_224": "its blocks .XCABlock. attend over channels",
    "vit_base_patch16_xp_224": "its blocks .ParallelScalingBlock. take q, k, v and the MLP from one matrix",
    "vit_dpwee_patch16_reg1_gap_256": "its blocks .DiffParallelScalingBlock. take q, k, v and the MLP from",
    "vit_small_patch16_18x2_224": "its blocks .ParallelThingsBlock. have several attentions side by side",
    "vit_base_patch16_rpn_224": "its blocks .ResPostBlock. norm what a sub-layer writes",
    "vit_relpos_small_patch16_rpn_224": "its blocks .ResPostRelPosBlock. norm what a sub-layer writes",
    "eva02_enormous_patch14_clip_224": "its blocks .EvaBlockPostNorm. norm what a sub-layer writes",
    "twins_svt_small": "its blocks .ModuleList. are none that a table of places is made for",
    "vitamin_small_224": "block 0 has no plain mlp.fc1",
    "convit_tiny": "block 0 has no plain attn.qkv",
    "tnt_s_patch16_224": "block 0 has no plain attn.qkv",
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_architectures_are_refused_in_one_sentence(on_meta, name):
    with pytest.raises(UserError, match=f"^backbone.name={name}:? {ARCHITECTURES[name]}.*; legal: ") as error:
        vit_table(on_meta(name), name)
    assert "\n" not in str(error.value)


def test_gated_attention_is_refused(on_meta):
    model = on_meta("vit_tiny_patch16_224", depth=1)
    model.blocks[0].attn.gate = torch.nn.Linear(192, 192)
    with pytest.raises(UserError, match=r"block 0 gates its heads \(attn.gate\)"):
        vit_table(model, "gated")


def test_a_place_that_does_not_exist_is_named_with_those_that_do(family):
    with pytest.raises(UserError, match=r"no place 1\.gate; legal in block 1: attn, ffn, k, kv, mlp1"):
        family("plain").place(Site(1, "gate"))
