"""The tables of the encoders: every place acts, and stands where the equation has it."""

import pytest
import torch

from peftlab.site import POSITIONS, Site

KINDS = ("bert", "roberta", "xlm-roberta", "distilbert")
LINEAR = ("q", "k", "v", "out", "mlp1", "mlp2")


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_one_place_or_is_outside(family, kind):
    backbone = family(kind)
    owned = [name for place in backbone.places.values() for name, _ in place.parameters]
    assert sorted([*owned, *backbone.outside]) == sorted(
        name for name, _ in backbone.model.named_parameters()
    )
    assert backbone.positions == tuple(name for name in POSITIONS if name != "gate")
    assert (backbone.depth, backbone.num_heads(0), backbone.num_prefix_tokens) == (2, 2, 1)
    assert all(name.startswith("embeddings.") for name in backbone.outside)


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_is_the_norms_of_the_stream_and_what_the_sub_layers_write(family, inputs_of, kind):
    """x <- norm1(x + attn), x <- norm2(x + ffn), out of the tensors at the ports of the table alone."""
    backbone = family(kind)
    seen = {}
    names = {port.module for place in backbone.places.values() for port in (place.input, place.output)}
    for name in names:
        backbone.model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.update(
                {(name, "in"): args[0], (name, "out"): output}
            )
        )
    backbone.features(inputs_of(backbone, 3))
    for name in names:
        backbone.model.get_submodule(name)._forward_hooks.clear()

    def at(port):
        return seen[port.module, port.side]

    for block in range(2):
        place = {
            name: backbone.place(Site(block, name)) for name in (*LINEAR, "attn", "ffn", "norm1", "norm2")
        }
        for body, norm in (("attn", "norm1"), ("ffn", "norm2")):
            assert place[body].residual == place[body].input
            torch.testing.assert_close(at(place[norm].input), at(place[body].input) + at(place[body].output))
        torch.testing.assert_close(at(place["norm1"].output), at(place["ffn"].input))
        for name in LINEAR:
            layer = backbone.model.get_submodule(place[name].output.module)
            torch.testing.assert_close(at(place[name].output), layer(at(place[name].input)))
        assert torch.equal(at(place["out"].output), at(place["attn"].output))
        assert torch.equal(at(place["mlp2"].output), at(place["ffn"].output))
