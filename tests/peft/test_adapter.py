"""The adapters against a transformer written out in plain torch, as the equations have it."""

import math

import pytest
import torch

from peftlab.peft.adapter import Adapter
from peftlab.peft.delta import LowRank
from peftlab.peft.view import Now, View

PHI = {
    "relu": lambda z: z.clamp(min=0),
    "gelu": lambda z: z * (1 + torch.erf(z / math.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + torch.exp(-z)),
}


def norm(x, weight, bias):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight + bias


def block(x, p, delta_attn, delta_ffn):
    """The equations of a pre-norm block; delta_*(residual, input, output) gives what the site adds."""
    u = norm(x, p["norm1.weight"], p["norm1.bias"])
    qkv = u @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]
    q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in qkv.chunk(3, -1))
    scores = q @ k.transpose(-1, -2) / math.sqrt(8)
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    a = (weights @ v).transpose(1, 2).flatten(2) @ p["attn.proj.weight"].T + p["attn.proj.bias"]
    x = x + a + delta_attn(x, u, a)
    w = norm(x, p["norm2.weight"], p["norm2.bias"])
    f = PHI["gelu"](w @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"]) @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"]
    return x + f + delta_ffn(x, w, f)


def features(model, images, delta):
    """Class-token features; delta(site)(residual, input, output)."""
    x = model._pos_embed(model.patch_embed(images))
    for index, module in enumerate(model.blocks):
        p = dict(module.named_parameters())
        x = block(x, p, delta(f"{index}_attn"), delta(f"{index}_ffn"))
    return norm(x, model.norm.weight, model.norm.bias)[:, 0]


METHODS = {  # method -> (what it reads: 0 residual, 1 input, 2 output; activation; where; published scale)
    "adapter_pfeiffer": (2, "relu", ("ffn",), 1.0),
    "adapter_houlsby": (2, "gelu", ("attn", "ffn"), 1.0),
    "adapter_parallel": (1, "relu", ("attn", "ffn"), 1.0),
    "adaptformer": (0, "relu", ("ffn",), 0.1),
}


@pytest.mark.parametrize("method", METHODS)
def test_block_by_hand(recipe, family, adapt, method):
    reads, phi, where, scale = METHODS[method]
    backbone = family("plain")
    model, _ = adapt(recipe(method, **{"peft.bottleneck": 5}), backbone)
    model.eval()
    rng = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.copy_(torch.randn(value.shape, generator=rng))

    def delta(site):
        if site not in model.deltas:
            return lambda *ports: 0
        d = model.deltas[site]
        return lambda *ports: scale * (PHI[phi](ports[reads] @ d.down.T + d.down_bias) @ d.up.T + d.up_bias)

    assert {name.split("_")[1] for name in model.deltas} == set(where)
    images = torch.randn(3, 3, 32, 32, generator=rng)
    adapted = model.features(images)
    plain = features(backbone.model, images, lambda site: lambda *ports: 0)
    torch.testing.assert_close(backbone.model(images), plain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(adapted, features(backbone.model, images, delta), rtol=1e-4, atol=1e-4)
    assert (adapted - plain).norm() > 0.1 * plain.norm()


def adapter(**options):
    legal = {"bottleneck": 64, "activation": "relu", "norm": False, "dropout": 0.0, "init": "kaiming"}
    return Adapter(View(100, 30), torch.Generator().manual_seed(0), **{**legal, **options})


@pytest.mark.parametrize(("init", "std"), [("kaiming", 0.1 / math.sqrt(3)), ("normal", 0.02)])
def test_up_is_zero_and_down_is_not(init, std):
    """Both zero (VPT's adapter baseline) would never train, so no option gives that."""
    delta = adapter(init=init)
    assert not delta(torch.randn(4, 100)).any()
    assert not any(value.any() for value in (delta.up, delta.up_bias, delta.down_bias))
    assert abs(delta.down.std().item() / std - 1) < 0.05


@pytest.mark.parametrize("activation", list(PHI))
@pytest.mark.parametrize("with_norm", [False, True])
def test_definition(activation, with_norm):
    delta = adapter(activation=activation, norm=with_norm)
    for value in (delta.up, delta.up_bias, delta.down_bias):
        torch.nn.init.normal_(value)
    z = torch.randn(2, 7, 100) * 3 + 1
    hidden = (z - z.mean(-1, keepdim=True)) / z.std(-1, correction=0, keepdim=True) if with_norm else z
    expected = PHI[activation](hidden @ delta.down.T + delta.down_bias) @ delta.up.T + delta.up_bias
    torch.testing.assert_close(delta(z), expected, rtol=1e-4, atol=1e-4)
    assert not isinstance(delta, LowRank)


@pytest.mark.parametrize(
    ("method", "bottleneck", "count"),
    [
        ("adaptformer", 64, 1_189_632),
        ("adapter_pfeiffer", 64, 1_189_632),
        ("adapter_pfeiffer", 8, 156_768),
        ("adapter_houlsby", 64, 2_379_264),
        ("adapter_parallel", 64, 2_379_264),
    ],
)
def test_counts_on_vit_base(recipe, vit_base, adapt, method, bottleneck, count):
    """methods.md 2.2, 2.3."""
    model, _ = adapt(recipe(method, **{"peft.bottleneck": bottleneck}), vit_base)
    assert model.num_parameters()["delta"] == count


@pytest.mark.parametrize("active", [1, 3, 5])
@pytest.mark.parametrize("with_norm", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_smaller_width_is_an_adapter_of_that_bottleneck(active, with_norm, dropout):
    wide, narrow = (
        adapter(bottleneck=width, norm=with_norm, dropout=dropout, activation="quick_gelu")
        for width in (5, active)
    )
    with torch.no_grad():
        for value in wide.parameters():
            value.normal_()
        for name, value in narrow.named_parameters():
            whole = dict(wide.named_parameters())[name]
            value.copy_(whole[:, :active] if name == "up" else whole[:active] if "down" in name else whole)
    assert {name: value.shape for name, value in wide.used(active).items()} == {
        name: value.shape for name, value in narrow.named_parameters()
    }
    z, slope = torch.randn(4, 100), torch.randn(4, 30)
    outputs = []
    for delta, width in ((wide, active), (narrow, None)):
        now = Now(training=True, rng=torch.Generator().manual_seed(0), width=width)
        outputs.append(delta(z, now))
        outputs[-1].backward(slope)
    torch.testing.assert_close(*outputs)
    for name, value in narrow.named_parameters():
        grad = dict(wide.named_parameters())[name].grad
        used = grad[:, :active] if name == "up" else grad[:active] if "down" in name else grad
        torch.testing.assert_close(used, value.grad)
    assert not wide.down.grad[active:].any()
    assert not wide.down_bias.grad[active:].any()
    assert not wide.up.grad[:, active:].any()
