"""DoRA against Hugging Face PEFT on the same weights, against its definition, and its counts."""

import math

import pytest
import torch
from torch.nn import functional as F

import peftlab
from peftlab.errors import UserError
from peftlab.export.affine import Full, affine
from peftlab.peft.dora import Dora
from peftlab.peft.view import Now, View

POSITIONS = ["q", "v", "out", "mlp1", "mlp2"]


def randomised(delta, rng):
    with torch.no_grad():
        delta.B.copy_(0.2 * torch.randn(delta.B.shape, generator=rng))
        delta.m.mul_(1 + 0.3 * torch.rand(delta.m.shape, generator=rng))
    return delta


def dora(d_out=7, d_in=5, rank=3, dropout=0.0, seed=0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(d_out, d_in, generator=rng, dtype=dtype)
    return Dora(View(d_in, d_out, weight=weight), rng, rank=rank, dropout=dropout).to(dtype)


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("family_name", ["plain", "dinov2", "clip"])
def test_learns_as_hugging_face_s(
    hugging_face, theirs, learn_alike, recipe, own_family, adapt, family_name, start
):
    backbone, rng = own_family(family_name), torch.Generator().manual_seed(3)
    model, _ = adapt(recipe("dora", **{"peft.rank": 3, "placement.position": POSITIONS}), backbone)
    model.double()
    wrapped, layers = theirs(backbone, hugging_face.LoraConfig(r=3, lora_alpha=3, use_dora=True))
    pairs = []
    for key, delta in model.deltas.items():
        delta.norm.copy_(delta.W.norm(dim=1))  # it was of single precision
        randomised(delta, rng)
        if start:
            torch.nn.init.normal_(delta.B, std=1e-3, generator=rng)
            delta.m.data.copy_(delta.norm)
        layer = layers[key]
        magnitude = layer.lora_magnitude_vector["default"].weight
        torch.testing.assert_close(magnitude, delta.norm, rtol=1e-6, atol=0)  # as they start
        A, B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        pairs += [(delta.A, A), (delta.B, B), (delta.m, magnitude)]
    learn_alike(model, wrapped, pairs)


def test_dropout_is_hugging_face_s(hugging_face, theirs, recipe, family, adapt):
    backbone, rng = family("plain"), torch.Generator().manual_seed(3)
    keys = {"peft.rank": 3, "peft.dropout": 0.5}
    model, _ = adapt(recipe("dora", cells={"1.mlp1": {}}, **keys), backbone)
    config = hugging_face.LoraConfig(r=3, lora_alpha=3, use_dora=True, lora_dropout=0.5)
    _, layers = theirs(backbone, config)
    delta = randomised(model.deltas["1_mlp1"], rng)
    layer = layers["1_mlp1"]
    for own, same in (
        (delta.A, layer.lora_A["default"].weight),
        (delta.B, layer.lora_B["default"].weight),
        (delta.m, layer.lora_magnitude_vector["default"].weight),
    ):
        same.data.copy_(own.data)
    x, base = torch.randn(2, 5, 16, generator=rng), layer.base_layer
    torch.manual_seed(0)
    got = delta(x, Now(training=True))
    torch.manual_seed(0)
    torch.testing.assert_close(got, layer.train()(x) - base(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(delta(x), layer.eval()(x) - base(x), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(got, delta(x))


def test_closed_form_and_gradient_with_a_constant_norm():
    """By autograd through the definition, in float64."""
    delta = randomised(dora(), torch.Generator().manual_seed(1))
    x, slope = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 7, dtype=torch.float64)
    V = delta.W + delta.B @ delta.A
    norm = V.norm(dim=1, keepdim=True)
    expected = F.linear(x, delta.m.unsqueeze(-1) * V / norm.detach()) - F.linear(x, delta.W)
    got = delta(x)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(F.linear(x, delta.matrix()), expected, rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(y, [delta.A, delta.B, delta.m], slope) for y in (got, expected)]
    for own, same in zip(*grads, strict=True):
        torch.testing.assert_close(own, same, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_start_is_exactly_nothing(dtype):
    """m = ||W||, A as LoRA's, and not a bit of delta, whatever the weight."""
    delta = dora(64, 48, rank=4, dtype=dtype)
    assert torch.equal(delta.m, delta.W.norm(dim=1))
    assert delta.A.abs().max() <= 1 / math.sqrt(48)
    x = 1e3 * torch.randn(9, 48, dtype=dtype)
    assert not delta(x).any()
    assert not delta(x, Now(width=2)).any()
    assert not delta.matrix().any()
    with torch.autocast("cpu", torch.bfloat16):
        assert not delta.float()(x.float()).any()


def test_every_row_starts_at_exactly_one():
    """About one square root in 70,000 of a square is not the number itself, with torch on a CPU."""
    weight = torch.randn(1_000_000, 2)
    delta = Dora(View(2, 1_000_000, weight=weight), torch.Generator(), rank=1, dropout=0.0)
    assert (delta._stretch(delta.B, delta.A) == 1).all()


def test_a_row_of_zeros_stays_finite():
    weight = torch.randn(3, 4)
    weight[1] = 0
    delta = Dora(View(4, 3, weight=weight), torch.Generator(), rank=2, dropout=0.0)
    assert not delta(torch.randn(5, 4)).any()


def test_the_norm_is_that_of_full_precision_under_autocast():
    delta = randomised(dora(64, 48, rank=4, dtype=torch.float32), torch.Generator().manual_seed(1))
    exact = delta.m / (delta.W + delta.B @ delta.A).norm(dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(delta._stretch(delta.B, delta.A), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("width", [1, 3])
def test_a_smaller_width_is_a_dora_of_that_rank(width):
    wide, narrow = randomised(dora(rank=5), torch.Generator().manual_seed(1)), dora(rank=width)
    used = wide.used(width)
    assert {name: value.shape for name, value in used.items()} == {
        name: value.shape for name, value in narrow.named_parameters()
    }
    narrow.load_state_dict(used)
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(wide(x, Now(width=width)), narrow(x))


@pytest.mark.parametrize(("rank", "position", "count"), [(8, "all", 1_410_048), (4, ["q", "v"], 165_888)])
def test_counts_on_vit_base(recipe, vit_base, adapt, rank, position, count):
    """LoRA's, and one number for each output: 12 (4 d + 4 d + d) = 82,944 at all six layers."""
    keys = {"peft.rank": rank, "placement.position": position}
    model, _ = adapt(recipe("dora", **keys), vit_base)
    assert model.num_parameters()["delta"] == count


def test_a_budget_counts_what_is_trained(recipe, vit_base, adapt):
    config = recipe("dora", **{"placement.budget": 500_000})
    model, _ = adapt(config, vit_base)
    assert abs(model.num_parameters()["delta"] - 500_000) <= 5_000


@pytest.mark.parametrize("insertion", ["sequential", "input"])
def test_only_beside_a_weight(recipe, family, adapt, insertion):
    with pytest.raises(
        UserError, match=rf"^peft.insertion={insertion} does not go with dora, .*; legal: parallel"
    ):
        adapt(recipe("dora", **{"peft.insertion": insertion}), family("plain"))
    with pytest.raises(
        UserError, match=r"^peft.positions=\[q, ffn\] does not go with parallel; legal: some of q"
    ):
        adapt(recipe("dora", **{"peft.positions": ["q", "ffn"]}), family("plain"))
    with pytest.raises(UserError, match="made from the weight of a linear layer"):
        Dora(View(3, 3), torch.Generator(), rank=1, dropout=0.0)


@pytest.mark.slow
def test_a_run_comes_back_and_is_folded_into_its_weights(finished):
    from peftlab.export.merge import merge
    from peftlab.model.load import read_run

    folder, model = finished("peft=dora", "scaling=learned")
    images = torch.randn(4, 3, 32, 32)
    trained = read_run(folder)
    assert torch.equal(trained.model(images), model(images))
    assert torch.equal(peftlab.load(folder)(images), model(images))
    assert not any(name.endswith((".W", ".norm")) for name in model.state())
    assert isinstance(affine(model.delta_at(model.sites[0]), torch.ones(())), Full)
    features, state = model.features(images), merge(trained)
    plain = model.backbone
    merged = torch.func.functional_call(plain, state, (images,))
    torch.testing.assert_close(merged, features, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain(images), features, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("granularity", ["site", pytest.param("channel", marks=pytest.mark.slow)])
def test_exports(finished, granularity):
    """A plain network, or an adapter; PEFT's DoRA has gamma elsewhere, and a row's gamma no weight to go to."""
    from peftlab.export.export import export

    words = ("peft=dora", "scaling=learned", f"scaling.granularity={granularity}")
    folder, _ = finished(*words)
    assert export(folder, "timm", folder / "timm", rank=None, images=None)["largest_logit_difference"] < 1e-4
    with pytest.raises(UserError, match=r"^--to peft has no place for Dora .*\(it is no low-rank update\)"):
        export(folder, "peft", folder / "peft", rank=None, images=None)
    if granularity == "site":
        card = export(folder, "adapter", folder / "adapter", rank=None, images=None)
        assert card["largest_logit_difference"] < 1e-4
    else:
        with pytest.raises(UserError, match=r"^--to adapter has no place for Dora"):
            export(folder, "adapter", folder / "adapter", rank=None, images=None)
