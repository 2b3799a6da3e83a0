"""Rescaled activations against Hugging Face PEFT and against folded weights."""

import pytest
import torch
from torch import nn

from peftlab.peft.ia3 import Ia3
from peftlab.peft.view import View


def test_equation():
    delta = Ia3(View(3, 4), torch.Generator())
    torch.nn.init.normal_(delta.l)
    y = torch.randn(2, 5, 4)
    torch.testing.assert_close(y + delta(y), (1 + delta.l) * y)


def test_as_hugging_face_peft_does_it():
    """The output of `k` and the input of `fc2`."""
    peft = pytest.importorskip("peft")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.k, self.fc2 = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.fc2(torch.relu(self.k(x)))

    net, x = Net(), torch.randn(5, 4)
    config = peft.IA3Config(target_modules=["k", "fc2"], feedforward_modules=["fc2"], init_ia3_weights=False)
    theirs = peft.get_peft_model(net, config)
    vectors = {name: value for name, value in theirs.named_parameters() if "ia3_l" in name}
    (l_k,), (l_ff,) = (
        [value.flatten() for name, value in vectors.items() if key in name] for key in (".k.", ".fc2.")
    )
    with torch.no_grad():
        l_k.copy_(torch.randn(6))
        l_ff.copy_(torch.randn(6))
    k, ff = Ia3(View(4, 6), torch.Generator()), Ia3(View(6, 6), torch.Generator())
    k.l.data, ff.l.data = l_k.detach() - 1, l_ff.detach() - 1
    base = theirs.get_base_model()
    hidden = nn.functional.linear(x, base.k.base_layer.weight, base.k.base_layer.bias)
    hidden = torch.relu(hidden + k(hidden))
    hidden = hidden + ff(hidden)
    ours = nn.functional.linear(hidden, base.fc2.base_layer.weight, base.fc2.base_layer.bias)
    torch.testing.assert_close(ours, theirs(x))


def test_mlp_site_rescales_what_mlp2_takes(recipe, family, adapt):
    """A column of W_2 times 1 + gamma l."""
    backbone = family("plain")
    layer, images = backbone.model.blocks[0].mlp.fc2, torch.randn(2, 3, 32, 32)
    model, _ = adapt(recipe("ia3", cells={"0.mlp2": {}}, **{"scaling.value": 0.5}), backbone)
    delta = model.deltas["0_mlp2"]
    assert delta.l.shape == (layer.in_features,)
    torch.nn.init.normal_(delta.l)
    adapted = model.features(images)
    weight = layer.weight.clone()
    try:
        layer.weight.mul_(1 + 0.5 * delta.l.detach())
        folded = backbone.model(images)
    finally:
        layer.weight.copy_(weight)
    torch.testing.assert_close(adapted, folded)


def test_counts_on_vit_base(recipe, vit_base, adapt):
    """l_k, l_v and l_ff of 12 blocks: 12 (2 * 768 + 3072)."""
    model, _ = adapt(recipe("ia3"), vit_base)
    assert model.num_parameters()["delta"] == 55_296
