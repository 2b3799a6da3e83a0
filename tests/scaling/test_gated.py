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


@pytest.mark.parametrize("init", [0.0, 1.0])
def test_limits_that_no_sigmoid_reaches(init):
    with pytest.raises(UserError, match=rf"scaling\.init={init} cannot be reached by a sigmoid"):
        gated([Scaled(SITE, 4, 6, 1.0, 3)], value=None, rule="plain", per="sample", init=init)


def test_what_all_tokens_share_has_no_gate_per_token(recipe, family, adapt):
    with pytest.raises(UserError, match=r"scaling\.per=token: 0\.kv has prompts or prefixes"):
        adapt(recipe("prefix", "gated", **{"scaling.per": "token"}), family("plain"))


def test_alpha_stays_beside_the_gate():
    scaling = gated([Scaled(SITE, 4, 6, 2.0, 3)], value=3.0, rule="over_rank", per="sample", init=0.5)
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
