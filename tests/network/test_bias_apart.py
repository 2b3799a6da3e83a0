"""q, k and v of BEiT and EVA-02, whose biases timm adds behind the matrix: what a site reads there, and what it writes.

Two oracles in float64: the same network with its biases inside the matrix, and each method's formula written out.
"""

import copy
import math
from dataclasses import replace

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from peftlab.backbone.backbone import Port
from peftlab.backbone.timm.own import own_backbone
from peftlab.build.mean_square import mean_squares
from peftlab.site import Site

SMALL = {"depth": 2, "embed_dim": 16, "num_heads": 2, "img_size": 32, "patch_size": 8}
FAMILIES = {
    "beit": "beit_base_patch16_224",
    "eva02": "eva02_tiny_patch14_224",
    "eva_giant": "eva_giant_patch14_224",
}
QKV = ("q", "k", "v")
GAMMA = 0.75  # the same number in float32


def backbone_of(family):
    model = timm.create_model(FAMILIES[family], num_classes=0, **SMALL).eval()
    rng = torch.Generator().manual_seed(0)
    for name, value in model.named_parameters():
        value.data.copy_(
            0.3 * torch.randn(value.shape, generator=rng) + ("norm" in name and "weight" in name)
        )
    assert all(block.attn.q_bias.abs().min() > 0 for block in model.blocks)
    return own_backbone(model)


def with_biases_inside(backbone):
    """The same function; a bias of k is there, and is zero."""
    model = copy.deepcopy(backbone.model)
    for block in model.blocks:
        attn = block.attn
        attn.qkv.bias = nn.Parameter(torch.cat([attn.q_bias, attn.k_bias, attn.v_bias]), requires_grad=False)
        attn.q_bias = attn.k_bias = attn.v_bias = None
    twin = own_backbone(model)
    assert {place.output.bias for place in twin.places.values()} == {None}
    assert {site.position for site, place in backbone.places.items() if place.output.bias} == {"q", "v"}
    return twin


def randomise(model, seed=1):
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.cell.parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=rng))
    model.cell.double()


def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def both(adapt):
    """A config on the network and on its twin, in float64, with the same numbers."""

    def make(config, family):
        backbone = backbone_of(family)
        models = []
        for one in (backbone, with_biases_inside(backbone)):
            model, _ = adapt(copy.deepcopy(config), one)
            randomise(model)
            one.model.double()
            models.append(model.eval())
        return models

    return make


METHODS = {
    **{
        name: (name, {})
        for name in ("lora", "dora", "pissa", "dylora", "vera", "ssf", "ia3", "mh_pa", "prefix")
    },
    **{name: (name, {}) for name in ("mam", "unipelt", "adaptformer", "adapter_houlsby")},
    "lora behind": ("lora", {"peft.insertion": "sequential"}),
    "dylora behind": ("dylora", {"peft.insertion": "sequential"}),
    "lora before": ("lora", {"peft.insertion": "input"}),
    "ssf before": ("ssf", {"peft.insertion": "input", "peft.positions": ["q", "v", "mlp2"]}),
    "adapter behind q k v": ("adapter_houlsby", {"peft.positions": ["q", "k", "v"]}),
}


CASES = [
    pytest.param(
        family, method, scaling, marks=[pytest.mark.slow] * ((family, scaling) != ("beit", "learned"))
    )
    for family in FAMILIES
    for method in METHODS
    for scaling in ("learned", "gated")
]


@pytest.mark.parametrize(("family", "method", "scaling"), CASES)
def test_where_the_biases_are_kept_makes_no_difference(both, recipe, family, method, scaling):
    name, keys = METHODS[method]
    ours, twin = both(recipe(name, scaling, **keys), family)
    x = images()
    found, wanted = ours.features(x), twin.features(x)
    frozen = ours.network.backbone.features({"images": x})
    assert (found - frozen).abs().max() > 1e-3 * frozen.abs().max(), "nothing is adapted"
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    for site, ratio in ours.ratios(x).items():  # ||gamma delta|| / ||f||, f with its bias
        torch.testing.assert_close(ratio, twin.ratios(x)[site], rtol=1e-6, atol=1e-9)


def ssf(delta, y):
    return y * (1 + GAMMA * delta.s) + GAMMA * delta.t


def ia3(delta, y):
    return y * (1 + GAMMA * delta.l)


def lora(delta, y):
    return y + GAMMA * (y @ delta.A.T) @ delta.B.T


def adapter(delta, y):
    hidden = 0.5 * (h := y @ delta.down.T + delta.down_bias) * (1 + torch.erf(h / math.sqrt(2)))
    return y + GAMMA * (hidden @ delta.up.T + delta.up_bias)


FORMULAS = {
    "ssf": (ssf, {}),
    "ia3": (ia3, {}),
    "lora": (lora, {"peft.insertion": "sequential"}),
    "adapter_houlsby": (adapter, {}),
}


class ByHand(nn.Module):
    """The qkv of a twin with each third y = W x + b changed by a formula."""

    def __init__(self, qkv, act):
        super().__init__()
        self.weight, self.bias, self._act = qkv.weight, qkv.bias, act

    def forward(self, x):
        thirds = F.linear(x, self.weight, self.bias).chunk(3, dim=-1)
        return torch.cat([self._act(name, y) for name, y in zip(QKV, thirds, strict=True)], dim=-1)


@pytest.mark.parametrize(
    "position", ["all three", *(pytest.param(name, marks=pytest.mark.slow) for name in QKV)]
)
@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_method_as_its_formula_says(both, recipe, family, method, position):
    formula, keys = FORMULAS[method]
    at = QKV if position == "all three" else (position,)
    config = recipe(method, cells={f"{block}.{name}": {} for block in (0, 1) for name in at}, **keys)
    for part in config["peft"].get("parts", {"": config["peft"]}).values():
        part["positions"] = list(QKV) if "mlp2" not in part["positions"][:1] else part["positions"]
    config["scaling"]["value"] = GAMMA
    ours, twin = both(config, family)
    model = copy.deepcopy(twin.backbone)
    for index, block in enumerate(model.blocks):

        def act(name, y, index=index):
            key = f"{index}_{name}"
            return formula(ours.deltas[key], y) if key in ours.deltas else y

        block.attn.qkv = ByHand(block.attn.qkv, act)
    x = images()
    torch.testing.assert_close(ours.features(x), model(x), rtol=1e-9, atol=1e-9)


def test_the_energy_of_q_and_v_is_that_of_the_biased_output():
    backbone = backbone_of("beit")
    twin = with_biases_inside(backbone)
    x = {"images": images().float()}
    for name in QKV:
        site = Site(1, name)
        found = mean_squares(backbone, {backbone.place(site).output: site}, [x])
        wanted = mean_squares(twin, {twin.place(site).output: site}, [x])
        assert next(iter(found.values())) == pytest.approx(next(iter(wanted.values())), rel=1e-5)


def test_a_trained_bias_is_the_one_that_a_site_reads(adapt, recipe):
    """BitFit beside SSF: y <- (1 + s) (W x + b) + t with the b that is trained."""
    ssf_part = {**recipe("ssf")["peft"], "positions": ["q"]}
    parts = {
        "scale": ssf_part,
        "bias": {**recipe("bitfit")["peft"], "positions": ["q"], "outside_blocks": False},
    }
    config = recipe("ssf")
    config["peft"] = {"_target_": "peftlab.peft.part.Hybrid", "parts": parts, "cuts": {}}
    backbone = backbone_of("beit")
    model, _ = adapt(config, backbone)
    randomise(model)
    backbone.model.double()
    plain = copy.deepcopy(backbone.model)
    for index, block in enumerate(plain.blocks):
        delta, bias = model.deltas[f"{index}_q"], getattr(model.cell.selected, f"blocks_{index}_attn_q_bias")
        weight, _, _ = block.attn.qkv.weight.data.chunk(3)
        scale = (1 + delta.s).detach()
        weight.mul_(scale.unsqueeze(-1))
        block.attn.q_bias.data.copy_(scale * bias + delta.t.detach())
    torch.testing.assert_close(model.features(images()), plain(images()), rtol=1e-9, atol=1e-9)


def test_a_port_gives_its_slice_with_the_bias_that_is_yet_to_come():
    attn = nn.Module()
    attn.v_bias = nn.Parameter(torch.tensor([10.0, 20.0]))
    y = torch.arange(6.0).expand(2, 6)
    port = Port("attn.qkv", "out", (2, 3), "attn.v_bias")
    assert port.value(y, {"attn": attn}).tolist() == [[14.0, 25.0]] * 2
    assert replace(port, bias=None).value(y, {}).tolist() == [[4.0, 5.0]] * 2
