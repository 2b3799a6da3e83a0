"""LoRA against Hugging Face PEFT on the same weights, against its definition, and its counts."""

import copy
import math
import warnings

import pytest
import torch

from peftlab.peft.lora import Lora
from peftlab.peft.view import Now, View

RANK, SCALE = 3, 1.7
LINEAR = {"out": "attn.proj", "mlp1": "mlp.fc1", "mlp2": "mlp.fc2"}


def wrap(hugging_face, model, fused):
    """HF's LoRA on a copy of a timm model: a fused qkv takes one pair of factors, of rank `fused`."""
    config = hugging_face.LoraConfig(
        r=RANK,
        lora_alpha=SCALE * RANK,
        target_modules=["attn.qkv", *LINEAR.values()],
        rank_pattern={"attn.qkv": fused},
        alpha_pattern={"attn.qkv": SCALE * fused},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hugging_face.get_peft_model(copy.deepcopy(model), config)


def layer(wrapped, block, path):
    return wrapped.base_model.model.get_submodule(f"blocks.{block}.{path}")


def factors(module):
    return module.lora_A["default"].weight, module.lora_B["default"].weight


@pytest.mark.parametrize(
    ("family_name", "fused"),
    [("plain", "qv"), ("plain", "qkv"), ("dinov2", "qkv"), ("clip", "qv"), ("average", "qv")],
)
def test_forward_and_gradients_equal_hugging_face_s(hugging_face, recipe, family, adapt, fused, family_name):
    backbone = family(family_name)
    wrapped = wrap(hugging_face, backbone.model, RANK * len(fused))
    keys = {"peft.rank": RANK, "scaling.value": SCALE, "placement.position": [*fused, *LINEAR]}
    model, _ = adapt(recipe("lora", **keys), backbone)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for delta in model.deltas.values():
            delta.B.copy_(0.2 * torch.randn(delta.B.shape, generator=rng))
        for block in range(2):
            for position, path in LINEAR.items():
                A, B = factors(layer(wrapped, block, path))
                A.copy_(model.deltas[f"{block}_{position}"].A)
                B.copy_(model.deltas[f"{block}_{position}"].B)
            A, B = factors(layer(wrapped, block, "attn.qkv"))
            B.zero_()  # of the fused layer: B is block-structured, A the factors on top of each other
            for i, position in enumerate(fused):
                delta, third = model.deltas[f"{block}_{position}"], "qkv".index(position)
                A[i * RANK : (i + 1) * RANK] = delta.A
                B[third * 16 : (third + 1) * 16, i * RANK : (i + 1) * RANK] = delta.B

    size = backbone.input_spec.size
    images = torch.randn(5, 3, size, size, generator=rng)
    ours, theirs = model.features(images), wrapped(images)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    slope = torch.randn(ours.shape, generator=rng)
    ours.backward(slope)
    theirs.backward(slope)

    def close(grad, other):
        assert (grad - other).norm() <= 1e-5 * other.norm()

    for block in range(2):
        for position, path in LINEAR.items():
            A, B = factors(layer(wrapped, block, path))
            close(model.deltas[f"{block}_{position}"].A.grad, A.grad)
            close(model.deltas[f"{block}_{position}"].B.grad, B.grad)
        A, B = factors(layer(wrapped, block, "attn.qkv"))
        for i, position in enumerate(fused):
            delta, third = model.deltas[f"{block}_{position}"], "qkv".index(position)
            close(delta.A.grad, A.grad[i * RANK : (i + 1) * RANK])
            close(delta.B.grad, B.grad[third * 16 : (third + 1) * 16, i * RANK : (i + 1) * RANK])


def test_definition_and_initialisation():
    lora = Lora(View(64, 32), torch.Generator().manual_seed(0), rank=8, dropout=0.0)
    assert lora.A.shape == (8, 64)
    assert not lora.B.any()
    bound = 1 / math.sqrt(64)  # kaiming-uniform with a = sqrt 5: U(-1/sqrt d_in, 1/sqrt d_in)
    assert lora.A.abs().max() <= bound
    assert abs(lora.A.std().item() / (bound / math.sqrt(3)) - 1) < 0.1
    torch.nn.init.normal_(lora.B)
    x = torch.randn(2, 5, 64)
    torch.testing.assert_close(lora(x), torch.einsum("or,ri,bni->bno", lora.B, lora.A, x))
    assert lora.width == 8


def test_dropout_is_on_the_input_and_stops_merging():
    lora = Lora(View(4, 4), torch.Generator(), rank=2, dropout=0.5)
    torch.nn.init.normal_(lora.B)
    assert lora.factors(Now(training=True)) is None
    torch.manual_seed(0)
    got = lora(torch.ones(3, 4), Now(training=True))  # without a stream, torch's own dropout
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(torch.ones(3, 4), 0.5) @ (lora.B @ lora.A).T
    torch.testing.assert_close(got, expected)
    B, A = lora.factors()
    assert B is lora.B
    assert A is lora.A


@pytest.mark.parametrize(
    ("rank", "position", "count"),
    [
        (4, ["q", "v"], 147_456),
        (16, "attn_qv", 589_824),
        (4, "all", 663_552),
        (8, "all", 1_327_104),
    ],
)
def test_counts_on_vit_base(recipe, vit_base, adapt, rank, position, count):
    """methods.md 2.1."""
    keys = {"peft.rank": rank, "placement.position": position}
    model, _ = adapt(recipe("lora", **keys), vit_base)
    assert model.num_parameters()["delta"] == count
    assert model.num_parameters()["selected"] == model.num_parameters()["gamma"] == 0


@pytest.mark.parametrize("active", [1, 3, 5])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_smaller_width_is_a_lora_of_that_rank(active, dropout):
    wide = Lora(View(6, 4), torch.Generator().manual_seed(0), rank=5, dropout=dropout)
    narrow = Lora(View(6, 4), torch.Generator(), rank=active, dropout=dropout)
    torch.nn.init.normal_(wide.B)
    with torch.no_grad():
        narrow.A.copy_(wide.A[:active])
        narrow.B.copy_(wide.B[:, :active])
    assert {name: value.shape for name, value in wide.used(active).items()} == {
        name: value.shape for name, value in narrow.named_parameters()
    }
    x, slope = torch.randn(3, 6), torch.randn(3, 4)
    outputs = []
    for lora, width in ((wide, active), (narrow, None)):
        now = Now(training=True, rng=torch.Generator().manual_seed(0), width=width)
        outputs.append(lora(x, now))
        outputs[-1].backward(slope)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(wide.A.grad[:active], narrow.A.grad)
    torch.testing.assert_close(wide.B.grad[:, :active], narrow.B.grad)
    assert not wide.A.grad[active:].any()
    assert not wide.B.grad[:, active:].any()
    B, A = wide.factors(Now(width=active))
    assert torch.equal(B @ A, narrow.B @ narrow.A)


@pytest.mark.parametrize("measured", [False, True])
def test_sites_of_smaller_width_and_sites_that_are_off_in_one_linear_layer(recipe, family, adapt, measured):
    """Merged or not: q at rank 2, k off, v whole, against a model of these ranks."""
    backbone = family("plain")
    images = torch.randn(3, 3, 32, 32)
    model, _ = adapt(recipe("lora", **{"peft.rank": 5, "placement.position": "attn_qkv"}), backbone)
    for delta in model.deltas.values():
        torch.nn.init.normal_(delta.B)
    model.eval().use({site: {"q": 2, "k": 0}.get(site.position) for site in model.sites})
    norms = {}
    now = {"widths": model.widths, **({"norms": norms} if measured else {})}
    (got,) = model.network.features([model.cell], {"images": images}, [now])
    if measured:
        assert {site.position for site in norms} == {"q", "v"}
    got.sum().backward()
    assert all(model.deltas[f"{block}_k"].A.grad is None for block in (0, 1))
    other, _ = adapt(recipe("lora", cells={"all.q": {"rank": 2}, "all.v": {"rank": 5}}), backbone)
    with torch.no_grad():
        for key, delta in other.deltas.items():
            delta.A.copy_(model.deltas[key].A[: delta.width])
            delta.B.copy_(model.deltas[key].B[:, : delta.width])
    torch.testing.assert_close(got, other.eval().features(images), rtol=1e-4, atol=1e-4)
