"""Scale and shift against its equation and its folded layer."""

import pytest
import torch

from peftlab.peft.ssf import Ssf
from peftlab.peft.view import View


def test_equation():
    delta = Ssf(View(3, 4), torch.Generator())
    torch.nn.init.normal_(delta.s)
    torch.nn.init.normal_(delta.t)
    y = torch.randn(2, 5, 4)
    torch.testing.assert_close(y + delta(y), (1 + delta.s) * y + delta.t)


@pytest.mark.parametrize("position", ["q", "mlp2", "norm1"])
def test_a_site_is_the_folded_layer(recipe, family, adapt, position):
    """W <- (1 + gamma s) W, b <- (1 + gamma s) b + gamma t, on the rows of q alone in a fused qkv."""
    backbone = family("plain")
    block, images = backbone.model.blocks[1], torch.randn(2, 3, 32, 32)
    module = {"q": block.attn.qkv, "mlp2": block.mlp.fc2, "norm1": block.norm1}[position]
    model, _ = adapt(recipe("ssf", cells={f"1.{position}": {}}, **{"scaling.value": 0.7}), backbone)
    delta = model.deltas[f"1_{position}"]
    torch.nn.init.normal_(delta.s)
    torch.nn.init.normal_(delta.t)
    adapted = model.features(images)
    weight, bias = module.weight.clone(), module.bias.clone()
    rows = slice(0, 16)
    scale = (1 + 0.7 * delta.s).detach()
    try:
        module.weight[rows] *= scale.unsqueeze(-1) if weight.ndim == 2 else scale
        module.bias[rows] = scale * bias[rows] + 0.7 * delta.t.detach()
        folded = backbone.model(images)
    finally:
        module.weight.copy_(weight)
        module.bias.copy_(bias)
    torch.testing.assert_close(adapted, folded)
