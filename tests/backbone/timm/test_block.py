"""The places of a block against what timm's blocks compute, for every kind of block."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from peftlab.backbone.timm.block import block_places
from peftlab.errors import UserError
from peftlab.site import CROSS, LINEAR, NORM, SCAN, Site

PLAIN = ["plain", "dinov2", "siglip", "distilled", "differential", "naflex", "relpos", "shared_relpos", "sam"]
PLAIN += ["beit", "eva_giant", "dinov3", "pe_core", "rope_mixed", "swin", "swin_shifted"]
GATED = ["packed", "aimv2", "eva02", "eva02_fused", "eva02_clip", "dinov3_plus", "grouped"]
KINDS = PLAIN + GATED
QKV = ("q", "k", "v")  # not the word: "kv" is in that
BIAS_APART = ["beit", "eva_giant", "eva02_fused", "dinov3_plus"]


def test_the_kinds_here_are_all_that_there_are(request):
    assert set(KINDS) == set(
        request.config.pluginmanager.get_plugin(str(request.path.parent / "conftest.py")).KINDS
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_a_block_belongs_to_one_place(small, kind):
    """And the parts of a fused matrix share out its rows."""
    model, table, *_ = small(kind)
    covered = {key: [(0, 1)] for key in table.outside}
    for site, place in table.places.items():
        for key, part in place.parameters:
            assert key.startswith(f"{table.blocks[site.block]}.")
            covered[key] = [*covered.get(key, []), part]
    assert covered.keys() == dict(model.named_parameters()).keys()
    for key, parts in covered.items():
        count = max(part[1] for part in parts)
        assert sorted(parts) == [(index, count) for index in range(count)], key
        assert count == 1 or dict(model.named_parameters())[key].shape[0] % count == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_leaves_the_function_as_it_is(small, kind):
    """BEiT and EVA add the bias of q and v in a step of its own, Swin's product is one call: the same to rounding.

    All others: bit for bit.
    """
    model, _, images, features = small(kind)
    assert features.isfinite().all()
    assert features.std(0).min() > 1e-3, "images make no difference to this random network"
    again = model(images)
    if kind in BIAS_APART or kind.startswith("swin"):
        torch.testing.assert_close(again, features, rtol=1e-4, atol=1e-5)
    else:
        assert torch.equal(again, features)


@pytest.mark.parametrize("kind", BIAS_APART)
def test_a_bias_apart_is_the_bias_of_its_position(small, kind):
    model, table, *_ = small(kind)
    assert all(model.get_submodule(root).attn.qkv_bias_separate for root in table.blocks)
    for site, place in table.places.items():
        attn = f"{table.blocks[site.block]}.attn"
        if site.position in QKV:
            own = ((f"{attn}.{site.position}_bias", (0, 1)),) if site.position != "k" else ()
            assert place.parameters == ((f"{attn}.qkv.weight", (QKV.index(site.position), 3)), *own)


@pytest.mark.parametrize("kind", KINDS)
def test_every_port_fires_with_the_width_of_its_place(small, watch, kind):
    table = small(kind).table
    seen = watch(small(kind))
    for site, place in table.places.items():
        assert place.input.side == "in"
        assert seen[place.input.module][0].shape[-1] == place.num_in, site
        if place.output.side == "out":
            assert seen[place.output.module][1].shape[-1] == place.num_out * place.output.slice[1], site
        if place.residual is not None:
            assert site.position in ("attn", "ffn")
            assert place.residual.side == "in"
            assert seen[place.residual.module][0].shape[-1] == place.num_in, site


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_adds_what_its_sublayers_write_to_its_residual(small, watch, kind):
    """y = x + attn + ffn: what is added to a sub-layer's output joins the stream as it is, not scaled by LayerScale."""
    table = small(kind).table
    seen = watch(small(kind))
    for index, root in enumerate(table.blocks):
        attn, ffn = (table.places[Site(index, name)] for name in ("attn", "ffn"))
        x, y = seen[root]
        first, second = seen[attn.output.module][1], seen[ffn.output.module][1]
        middle = seen[ffn.residual.module][0].reshape(x.shape)
        torch.testing.assert_close(y, middle + second.reshape(x.shape), rtol=1e-4, atol=1e-5)
        if attn.residual is None:  # windows: another order of the same tokens
            torch.testing.assert_close(
                (middle - x).flatten(0, -2).sum(0), first.flatten(0, -2).sum(0), rtol=1e-3, atol=1e-4
            )
        else:
            assert torch.equal(seen[attn.residual.module][0], x)
            torch.testing.assert_close(middle, x + first, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_only_windows_have_no_residual(small, kind):
    model, table, *_ = small(kind)
    for site, place in table.places.items():
        if site.position == "attn":
            windows = bool(getattr(model.get_submodule(table.blocks[site.block]), "window_size", 0))
            assert (place.residual is None) == windows
    assert any(p.residual is None for s, p in table.places.items() if s.position == "attn") == (
        kind in ("sam", "swin", "swin_shifted")
    )


@pytest.mark.parametrize("kind", ["plain", "dinov2", "distilled", "swin", "swin_shifted"])
def test_q_k_v_are_the_thirds_of_qkv_in_this_order(small, watch, kind):
    """out reads softmax(q k^T / sqrt(d) + bias) v."""
    model, table, *_ = small(kind)
    seen = watch(small(kind))
    for index, root in enumerate(table.blocks):
        attn = model.get_submodule(f"{root}.attn")
        q, k, v = (part_of(table.places[Site(index, name)], seen) for name in QKV)
        q, k, v = (x.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        bias = 0.0
        if kind.startswith("swin"):
            bias = attn._get_rel_pos_bias()
            mask = model.get_submodule(root).attn_mask
            if mask is not None:
                bias = bias + mask.repeat(len(q) // len(mask), 1, 1).unsqueeze(1)
        if kind == "dinov2":
            q, k = attn.q_norm(q), attn.k_norm(k)
        heads = (q @ k.mT / q.shape[-1] ** 0.5 + bias).softmax(-1) @ v
        read = seen[table.places[Site(index, "out")].input.module][0]
        torch.testing.assert_close(read, heads.transpose(1, 2).flatten(2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_product_is_one_call_where_prefixes_may_take_part_in_it(small, monkeypatch, kind):
    """`kv` stands for what F.scaled_dot_product_attention gives, once per block."""
    model, table, images, _ = small(kind)
    calls, product = [], F.scaled_dot_product_attention

    def count(*args, **kwargs):
        result = product(*args, **kwargs)
        calls.append(result.shape[1] * result.shape[-1])
        return result

    monkeypatch.setattr(F, "scaled_dot_product_attention", count)
    model.forward_features(images)
    if "kv" not in table.refused:
        assert calls == [table.places[Site(index, "kv")].num_out for index in range(len(table.blocks))]


@pytest.mark.parametrize("kind", KINDS)
def test_mlp2_reads_what_its_source_gave_where_no_norm_and_no_gate_is_between(small, watch, kind):
    seen = watch(small(kind))
    for site, place in small(kind).table.places.items():
        if site.position == "mlp2":
            given = seen.get(place.input.source, (None, None))[1]
            assert (given is seen[place.input.module][0]) == (kind in PLAIN)


def test_shifted_windows_are_among_these(small):
    blocks = [small("swin_shifted").model.get_submodule(root) for root in small("swin_shifted").table.blocks]
    assert [any(block.shift_size) for block in blocks] == [False, True, False]


@pytest.mark.parametrize("kind", ["eva02", "eva02_clip", "grouped"])
def test_split_q_k_v_are_three_modules(small, kind):
    table = small(kind).table
    for site, place in table.places.items():
        if site.position in QKV:
            path = f"{table.blocks[site.block]}.attn.{site.position}_proj"
            assert (place.input.module, place.output.module, place.output.slice) == (path, path, (0, 1))
            assert {key for key, _ in place.parameters} <= {f"{path}.weight", f"{path}.bias"}


@pytest.mark.parametrize("kind", GATED)
def test_mlp2_reads_the_value_times_the_activated_gate(small, watch, kind):
    model, table, *_ = small(kind)
    seen = watch(small(kind))
    for index, root in enumerate(table.blocks):
        value, gate = (part_of(table.places[Site(index, name)], seen) for name in ("mlp1", "gate"))
        read = seen[table.places[Site(index, "mlp2")].input.module][0]
        norm = model.get_submodule(f"{root}.mlp.norm")
        torch.testing.assert_close(read, norm(F.silu(gate) * value), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_mlp_has_no_gate(small, kind):
    positions = {site.position for site in small(kind).table.places}
    assert set(LINEAR) - positions == {"gate", "proj", *CROSS, *SCAN}


@pytest.mark.parametrize("kind", KINDS)
def test_prefixes_and_prompts(small, kind):
    model, table, *_ = small(kind)
    for index, root in enumerate(table.blocks):
        width = table.places[Site(index, "q")].num_in
        for position, path, side, num_out in (
            ("kv", f"{root}.attn", "heads", model.get_submodule(f"{root}.attn.proj").in_features),
            ("tokens", root, "tokens", width),
        ):
            place = table.places.get(Site(index, position))
            assert (place is None) == (position in table.refused)
            if place is not None:
                assert (place.input.module, place.output.module, place.output.side) == (path, path, side)
                assert (place.num_in, place.num_out, place.residual, place.parameters) == (
                    width,
                    num_out,
                    None,
                    (),
                )


def test_what_belongs_to_no_linear_layer_goes_with_its_sublayer_s_norm(small):
    def owned(kind):
        root, places = small(kind).table.blocks[0], small(kind).table.places
        return [
            {key.removeprefix(f"{root}.") for key, _ in places[Site(0, name)].parameters} for name in NORM
        ]

    first, second = owned("dinov2")
    assert {"norm1.weight", "ls1.gamma", "attn.q_norm.bias", "attn.k_norm.weight"} <= first
    assert second == {"norm2.weight", "norm2.bias", "ls2.gamma"}
    first, second = owned("beit")
    assert {"gamma_1", "attn.relative_position_bias_table"} <= first
    assert second == {"norm2.weight", "norm2.bias", "gamma_2"}
    first, second = owned("eva02")
    assert first == {"norm1.weight", "norm1.bias"}
    assert second == {"norm2.weight", "norm2.bias", "mlp.norm.weight", "mlp.norm.bias"}
    assert "attn.relative_position_bias_table" in owned("swin")[0]


def part_of(place, seen):
    index, count = place.output.slice
    return seen[place.output.module][1].chunk(count, dim=-1)[index]


class Fake(nn.Module):
    """A block of these widths: qkv to heads, fc1 to fc2."""

    def __init__(self, qkv=12, fc1=8, **more):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(4), nn.LayerNorm(4)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(4, qkv), nn.Linear(4, 4)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(4, fc1), nn.Linear(8, 4)
        for path, module in more.items():
            self.set_submodule(path.replace("_0_", "."), module)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Fake(qkv=8), "attn.qkv gives 8 and attn.proj takes 4; legal: 12 for 4"),
        (Fake(fc1=16), "mlp.fc1 gives 16 and mlp.fc2 takes 8; legal: 8 for 8"),
        (Fake(mlp_0_fc1=nn.Conv2d(4, 8, 1)), "has no plain mlp.fc1; legal: blocks with norm1, attn.qkv"),
        (Fake(mlp_0_fc1_g=nn.Linear(4, 8)), "has no plain mlp.fc1_x; legal: "),
        (Fake(attn_0_q_proj=nn.Linear(4, 4)), "has no plain attn.k_proj; legal: "),
        (Fake(attn_0_gate=nn.Linear(4, 4)), "gates its heads (attn.gate), which no position stands for; "),
    ],
)
def test_a_block_that_is_put_together_in_another_way_is_refused(block, words):
    with pytest.raises(UserError) as error:
        block_places(5, "blocks.5", block, "odd")
    assert str(error.value).startswith("backbone.name=odd: block 5")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_block_without_norms_is_refused():
    block = Fake()
    del block.norm2
    with pytest.raises(UserError, match="block 0 has no norm2; legal"):
        block_places(0, "blocks.0", block, "odd")


def test_heads_may_be_wider_than_the_stream():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.proj = nn.Linear(4, 24), nn.Linear(8, 4)

    places = block_places(0, "blocks.0", Fake(attn=Attention()), "wide")
    widths = {
        position: (places[Site(0, position)].num_in, places[Site(0, position)].num_out) for position in WIDTHS
    }
    assert widths == WIDTHS


WIDTHS = {
    "q": (4, 8),
    "v": (4, 8),
    "kv": (4, 8),
    "out": (8, 4),
    "attn": (4, 4),
    "ffn": (4, 4),
    "norm1": (4, 4),
}


def test_an_attention_that_nobody_has_checked_has_no_prefixes():
    places = block_places(0, "blocks.0", Fake(), "odd")
    assert Site(0, "kv") not in places
    assert Site(0, "q") in places
