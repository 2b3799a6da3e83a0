"""The tables of the families: every place acts, and stands where the equation has it."""

from functools import partial

import pytest
import torch
from fixtures.text import CAUSAL, DECODERS

from peftlab.site import POSITIONS, Site

ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert")
KINDS = (*ENCODERS, *CAUSAL)
GATED = ("llama", "qwen2", "mistral")
LINEAR = ("q", "k", "v", "out", "mlp1", "mlp2")
PLACES = (*LINEAR, "attn", "ffn", "norm1", "norm2")
PLAIN = {*PLACES, "kv", "tokens"}
STATE_SPACE = {"in", "x", "dt", "out", "norm1", "tokens"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_one_place_or_is_outside(family, kind):
    backbone = family(kind)
    owned = [name for place in backbone.places.values() for name, _ in place.parameters]
    fused = ("c_attn", "query_key_value")  # which have three places
    assert sorted({*owned, *backbone.outside}) == sorted(
        name for name, _ in backbone.model.named_parameters() if not name.startswith("unembedding.")
    )
    assert all(owned.count(name) == (3 if any(word in name for word in fused) else 1) for name in owned)
    has = {"gptj": PLAIN - {"norm2"}, "mamba": STATE_SPACE}.get(
        kind, PLAIN | ({"gate"} if kind in GATED else set())
    )
    assert backbone.positions == tuple(name for name in POSITIONS if name in has)
    is_causal = kind in CAUSAL
    heads = {"mamba": 1}.get(kind, 4 if is_causal else 2)
    assert (backbone.depth, backbone.num_heads(0), backbone.num_prefix_tokens) == (2, heads, not is_causal)
    assert backbone.is_causal == is_causal


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_is_called_once_in_a_forward(family, inputs_of, kind):
    backbone = family(kind)
    calls: dict[str, int] = {}
    modules = {port.module for place in backbone.places.values() for port in (place.input, place.output)}
    handles = [
        backbone.model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: calls.update({name: calls.get(name, 0) + 1})
        )
        for name in modules
    ]
    backbone.features(inputs_of(backbone, 3))
    for handle in handles:
        handle.remove()
    assert calls == dict.fromkeys(modules, 1)


def seen_in(backbone, inputs):
    """What stood at every port of the table in a forward."""
    seen = {}
    names = {
        port.module
        for place in backbone.places.values()
        for port in (place.input, place.output, *([] if place.residual is None else [place.residual]))
    }

    def keep(module, args, kwargs, output, name):
        read = args[0] if args else kwargs["hidden_states"]
        seen.update({(name, "in"): read, (name, "out"): output})

    for name in names:
        backbone.model.get_submodule(name).register_forward_hook(partial(keep, name=name), with_kwargs=True)
    backbone.features(inputs)
    for name in names:
        backbone.model.get_submodule(name)._forward_hooks.clear()

    def at(port):
        index, count = port.slice
        return seen[port.module, port.side].chunk(count, -1)[index]

    return at


def check_layers(backbone, block, place, at):
    """Every linear layer gives its part of what it makes of its input; sub-layers write what their last ones give."""
    for name in LINEAR:
        layer = backbone.model.get_submodule(place[name].output.module)
        index, count = place[name].output.slice
        torch.testing.assert_close(
            at(place[name].output), layer(at(place[name].input)).chunk(count, -1)[index]
        )
        assert at(place[name].output).shape[-1] == place[name].num_out
    assert torch.equal(at(place["out"].output), at(place["attn"].output))
    assert torch.equal(at(place["mlp2"].output), at(place["ffn"].output))


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_block_is_the_norms_of_the_stream_and_what_the_sub_layers_write(family, inputs_of, kind):
    """x <- norm1(x + attn), x <- norm2(x + ffn), out of the tensors at the ports of the table alone."""
    backbone = family(kind)
    at = seen_in(backbone, inputs_of(backbone, 3))
    for block in range(2):
        place = {name: backbone.place(Site(block, name)) for name in PLACES}
        for body, norm in (("attn", "norm1"), ("ffn", "norm2")):
            assert place[body].residual == place[body].input
            torch.testing.assert_close(at(place[norm].input), at(place[body].input) + at(place[body].output))
        torch.testing.assert_close(at(place["norm1"].output), at(place["ffn"].input))
        check_layers(backbone, block, place, at)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_block_of_a_decoder_adds_what_its_sub_layers_write_to_the_stream(family, inputs_of, kind):
    """x <- x + attn(norm1(x)), x <- x + ffn(norm2(x)), or both of one x; out of the ports of the table alone."""
    backbone = family(kind)
    at = seen_in(backbone, inputs_of(backbone, 3))
    is_parallel = kind in ("gptj", "gpt_neox")
    for block in range(2):
        place = {
            name: backbone.place(Site(block, name)) for name in PLACES if (kind, name) != ("gptj", "norm2")
        }
        stream = at(backbone.place(Site(block, "tokens")).input)
        norms = place["norm1"], place.get("norm2", place["norm1"])
        for body, norm in zip(("attn", "ffn"), norms, strict=True):
            assert place[body].residual == norm.input
            torch.testing.assert_close(at(place[body].input), at(norm.output))
        assert torch.equal(at(norms[0].input), stream)
        attn, ffn = at(place["attn"].output), at(place["ffn"].output)
        ffn = ffn.view(attn.shape)  # OPT's has all tokens one behind the other
        middle = stream if is_parallel else stream + attn
        torch.testing.assert_close(at(norms[1].input).view(attn.shape), middle)
        if block == 0:
            above = at(backbone.place(Site(1, "tokens")).input)
            torch.testing.assert_close(above, stream + attn + ffn)
        check_layers(backbone, block, place, at)
