"""Gates of the input against their equation."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.scaling.gamma import Scaled
from peftlab.scaling.gated import Gate, gated
from peftlab.site import Site

SITE = Site(0, "q")


def test_per_token_and_per_sample():
    x = torch.randn(2, 5, 3)
    token, sample = Gate(3, per="token", init=0.5), Gate(3, per="sample", init=0.5)
    for gate in (token, sample):
        gate.w.data = torch.tensor([1.0, -2.0, 0.5])
        gate.b.data.fill_(0.1)
    expected = 1 / (1 + torch.exp(-(x @ token.w + 0.1)))
    torch.testing.assert_close(token(x), expected.unsqueeze(-1))
    torch.testing.assert_close(sample(x), expected.mean(1).view(2, 1, 1))
    grid = torch.randn(2, 4, 4, 3)  # Swin's sub-layers read a grid
    assert token(grid).shape == (2, 4, 4, 1)
    assert sample(grid).shape == (2, 1, 1, 1)


@pytest.mark.parametrize("init", [0.1, 0.5, 0.9])
def test_init_is_the_gate_of_every_input(init):
    torch.testing.assert_close(
        Gate(3, per="sample", init=init)(torch.randn(2, 5, 3)), torch.full((2, 1, 1), init)
    )


def test_what_all_tokens_share_has_no_gate_per_token(recipe, family, adapt):
    with pytest.raises(UserError, match=r"scaling\.per=token: 0\.kv has prompts or prefixes"):
        adapt(recipe("prefix", "gated", **{"scaling.per": "token"}), family("plain"))


def test_alpha_stays_beside_the_gate():
    scaling = gated(
        [Scaled(SITE, 4, 6, 2.0, 3)], value=3.0, rule="over_rank", per="sample", reads="site", init=0.5
    )
    assert scaling.gamma.scales()[SITE].item() == 3.0 * 2.0 / 4
    assert scaling.gates[SITE].w.shape == (3,)


@pytest.mark.parametrize("per", ["sample", "token"])
def test_a_gated_lora_by_hand(recipe, family, adapt, per):
    """mlp2 <- W_2 x + g(x) B A x, g of the layer's own input (HLPT)."""
    backbone = family("plain")
    layer, images = backbone.model.blocks[0].mlp.fc2, torch.randn(2, 3, 32, 32)
    model, _ = adapt(recipe("lora", "gated", {"0.mlp2": {}}, **{"scaling.per": per}), backbone)
    delta, gate = model.deltas["0_mlp2"], model.cell.gates["0_mlp2"]
    torch.nn.init.normal_(delta.B)
    torch.nn.init.normal_(gate.w)
    seen = {}
    hook = layer.register_forward_hook(lambda _, args, out: seen.update(read=args[0], write=out))
    model.features(images)
    hook.remove()
    x = seen["read"]
    g = torch.sigmoid(x @ gate.w + gate.b).unsqueeze(-1)
    g = g if per == "token" else g.mean(1, keepdim=True)
    torch.testing.assert_close(seen["write"], layer(x) + g * (x @ delta.A.T @ delta.B.T))


@pytest.mark.parametrize(
    ("position", "around"), [("q", "attn"), ("out", "attn"), ("mlp1", "mlp"), ("mlp2", "mlp")]
)
@pytest.mark.parametrize("per", ["sample", "token"])
@pytest.mark.parametrize("name", ["plain", "swin"])
def test_a_gate_that_reads_what_the_sublayer_takes(recipe, family, adapt, name, per, position, around):
    """HLPT: f <- W_2 h + g(w) B A h, w the input of the FFN and h what W_2 takes; W_out likewise in attention."""
    backbone = family(name)
    site = Site(0, position)
    place = backbone.place(site)
    body = backbone.model.get_submodule(place.input.module.rpartition(f".{around}.")[0] + f".{around}")
    layer, images = backbone.model.get_submodule(place.input.module), torch.randn(2, 3, 32, 32)
    keys = {"scaling.per": per, "scaling.reads": "sublayer"}
    model, _ = adapt(recipe("lora", "gated", {f"0.{position}": {}}, **keys), backbone)
    delta, gate = model.deltas[f"0_{position}"], model.cell.gates[f"0_{position}"]
    torch.nn.init.normal_(delta.B)
    torch.nn.init.normal_(gate.w)
    seen = {}
    hooks = [
        layer.register_forward_hook(lambda _, args, out: seen.update(read=args[0], write=out)),
        body.register_forward_pre_hook(lambda _, args: seen.update(body=args[0])),
    ]
    model.features(images)
    for hook in hooks:
        hook.remove()
    w, h = seen["body"], seen["read"]
    assert gate.w.shape == (w.shape[-1],)
    g = torch.sigmoid(w @ gate.w + gate.b).unsqueeze(-1)
    g = g if per == "token" else g.mean(tuple(range(1, g.ndim)), keepdim=True)
    rows = slice(0, place.num_out)
    expected = layer(h).detach()
    expected[..., rows] += (g * (h @ delta.A.T @ delta.B.T)).detach()
    torch.testing.assert_close(seen["write"], expected)


def test_hlpt_s_gates_read_the_inputs_of_the_ffn_and_of_attention(recipe, family, adapt):
    backbone = family("plain")
    keys = {"peft.parts.lora.depth": 0, "peft.parts.prefix.depth": 1, "scaling.reads": "sublayer"}
    model, _ = adapt(recipe("hlpt", "gated", **keys), backbone)
    assert {key: gate.w.shape for key, gate in model.cell.gates.items()} == {"0_mlp2": (16,), "1_kv": (16,)}


def test_norms_and_prompts_stand_in_no_sublayer(recipe, family, adapt):
    for method, key in (("ssf", "0_norm1"), ("vpt_shallow", "0_tokens")):
        model, _ = adapt(recipe(method, "gated", **{"scaling.reads": "sublayer"}), family("plain"))
        assert model.cell.gates[key].w.shape == (16,)


def test_hlpt_chooses_it_by_itself(composed):
    assert (
        composed("peft=hlpt")["scaling"]["reads"] == composed("peft=h2lpt")["scaling"]["reads"] == "sublayer"
    )
    assert composed("peft=unipelt")["scaling"]["reads"] == "site"
