"""PiSSA against Hugging Face PEFT on the same weights, against its definition, and its counts."""

import pytest
import torch
from torch.nn import functional as F

import peftlab
from peftlab.errors import UserError
from peftlab.peft import pissa as module
from peftlab.peft.pissa import Pissa, principal
from peftlab.peft.view import Now, View

POSITIONS = ["q", "v", "out", "mlp1", "mlp2"]


def pissa(d_out=7, d_in=5, rank=3, dtype=torch.float64, seed=0):
    weight = torch.randn(d_out, d_in, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return weight, Pissa(View(d_in, d_out, weight=weight), torch.Generator(), rank=rank)


def randomised(delta, rng):
    with torch.no_grad():
        for value in delta.parameters():
            value.add_(0.2 * torch.randn(value.shape, generator=rng))
    return delta


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("family_name", ["plain", "dinov2", "clip"])
def test_learns_as_hugging_face_s(
    hugging_face, theirs, learn_alike, recipe, own_family, adapt, family_name, start
):
    """Their start as well: it is ours but for the signs, and they take it out of the weight."""
    backbone, rng = own_family(family_name), torch.Generator().manual_seed(3)
    model, _ = adapt(recipe("pissa", **{"peft.rank": 3, "placement.position": POSITIONS}), backbone)
    model.double()
    config = hugging_face.LoraConfig(r=3, lora_alpha=3, init_lora_weights="pissa")
    wrapped, layers = theirs(backbone, config)
    _, frozen = theirs(backbone, hugging_face.LoraConfig(r=3))
    pairs = []
    for key, delta in model.deltas.items():
        A, B = (getattr(layers[key], name)["default"].weight for name in ("lora_A", "lora_B"))
        sign = (A * delta.A0).sum(dim=1).sign()
        torch.testing.assert_close(A * sign.unsqueeze(-1), delta.A0, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(B * sign, delta.B0, rtol=1e-4, atol=1e-4)
        rest, own = layers[key].base_layer.weight, frozen[key].base_layer.weight - delta.B0 @ delta.A0
        torch.testing.assert_close(rest, own, rtol=1e-4, atol=1e-4)
        rest.data.copy_(own)  # theirs is of single precision
        randomised(delta, rng) if not start else None
        pairs += [(delta.A, A), (delta.B, B)]
    learn_alike(model, wrapped, pairs)


def test_the_start_is_the_best_approximation_of_its_rank():
    """Eckart-Young: what is left has the other singular values, and B0 and A0 share the size of each."""
    weight, delta = pissa(7, 5, rank=3)
    values = torch.linalg.svdvals(weight)
    rest = weight - delta.B0 @ delta.A0
    torch.testing.assert_close(torch.linalg.svdvals(rest)[:2], values[3:])
    assert torch.linalg.svdvals(rest)[2:].abs().max() < 1e-12
    for gram in (delta.A0 @ delta.A0.T, delta.B0.T @ delta.B0):
        torch.testing.assert_close(gram, torch.diag(values[:3]))
    assert torch.equal(delta.A, delta.A0)
    assert torch.equal(delta.B, delta.B0)
    assert delta.A.data_ptr() != delta.A0.data_ptr()


def test_signs_do_not_depend_on_the_machine(monkeypatch):
    weight, _ = pissa()
    B, A = principal(weight, 3)
    svd = torch.linalg.svd

    def flipped(value, **more):
        U, S, V = svd(value, **more)
        signs = torch.tensor([-1.0, 1.0, -1.0, -1.0, 1.0], dtype=value.dtype)
        return U * signs, S, V * signs.unsqueeze(-1)

    monkeypatch.setattr(torch.linalg, "svd", flipped)
    assert all(torch.equal(*pair) for pair in zip(principal(weight, 3), (B, A), strict=True))
    largest = B.gather(0, B.abs().argmax(dim=0, keepdim=True))
    assert (largest > 0).all()


def test_closed_form_and_gradient():
    _, delta = pissa()
    randomised(delta, torch.Generator().manual_seed(1))
    x, slope = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 7, dtype=torch.float64)
    expected = F.linear(x, delta.B @ delta.A - delta.B0 @ delta.A0)
    torch.testing.assert_close(delta(x), expected, rtol=1e-12, atol=1e-12)
    B, A = delta.factors()
    torch.testing.assert_close(F.linear(x, B @ A), expected, rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(y, [delta.A, delta.B], slope) for y in (delta(x), expected)]
    for own, same in zip(*grads, strict=True):
        torch.testing.assert_close(own, same, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_start_is_exactly_nothing_merged_or_not(dtype):
    _, delta = pissa(64, 48, rank=9, dtype=dtype)
    assert not delta(1e3 * torch.randn(9, 48, dtype=dtype)).any()
    B, A = delta.factors()
    assert not (B @ A).any()
    assert torch.autograd.grad(delta(torch.randn(9, 48, dtype=dtype)).sum(), delta.A)[0].any()


@pytest.mark.parametrize("width", [1, 3])
def test_a_smaller_width_is_a_pissa_of_that_rank(width):
    _, wide = pissa(rank=5)
    _, narrow = pissa(rank=width)
    randomised(wide, torch.Generator().manual_seed(1))
    used = wide.used(width)
    assert {name: value.shape for name, value in used.items()} == {
        name: value.shape for name, value in narrow.named_parameters()
    }
    narrow.load_state_dict(used, strict=False)
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(wide(x, Now(width=width)), narrow(x))


def test_a_rank_above_the_singular_values_is_refused():
    with pytest.raises(
        UserError, match=r"^peft=pissa: rank=6 is more than the 5 singular values .*; legal: 5 or less"
    ):
        pissa(7, 5, rank=6)


@pytest.mark.parametrize(("rank", "position", "count"), [(8, "all", 1_327_104), (4, ["q", "v"], 147_456)])
def test_counts_on_vit_base(recipe, vit_base, adapt, rank, position, count):
    """LoRA's: what it starts from is no parameter."""
    keys = {"peft.rank": rank, "placement.position": position}
    model, _ = adapt(recipe("pissa", **keys), vit_base)
    assert model.num_parameters()["delta"] == count


def test_a_budget_counts_what_is_trained(recipe, vit_base, adapt):
    model, _ = adapt(recipe("pissa", **{"placement.budget": 663_552}), vit_base)
    assert model.num_parameters()["delta"] == 663_552
    assert {delta.width for delta in model.deltas.values()} == {4}


def test_paired_runs_share_the_start_of_every_site(recipe, family, adapt):
    backbone = family("plain")
    starts = [
        adapt(recipe("pissa", "fixed", cells, seed=seed), backbone)[0].deltas["1_v"]
        for seed, cells in enumerate((None, {"0-1.v": {}}, {"1.v": {}}))
    ]
    assert all(torch.equal(start.A, starts[0].A) and torch.equal(start.B, starts[0].B) for start in starts)


def test_a_run_comes_back_on_another_machine(finished, monkeypatch):
    """One whose decomposition of the same weight is another."""
    folder, model = finished("peft=pissa", "scaling=learned")
    images = torch.randn(4, 3, 32, 32)
    logits = model(images)
    assert torch.equal(peftlab.load(folder)(images), logits)
    start = model.deltas["0_q"]
    assert not torch.equal(start.A, start.A0)
    monkeypatch.setattr(
        module, "principal", lambda *given: tuple(value.flip(0).contiguous() for value in principal(*given))
    )
    assert torch.equal(peftlab.load(folder)(images), logits)
    state = peftlab.load(folder).state()
    assert {name.rpartition(".")[2] for name in state if name.startswith("deltas.0_q.")} == {
        "A",
        "A0",
        "B",
        "B0",
    }


@pytest.mark.parametrize("granularity", ["site", pytest.param("channel", marks=pytest.mark.slow)])
def test_exports(finished, granularity):
    from peftlab.export.export import export

    folder, _ = finished("peft=pissa", "scaling=learned", f"scaling.granularity={granularity}")
    for to in ("timm", "peft", "adapter"):
        card = export(folder, to, folder / to, rank=None, images=None)
        assert card["largest_logit_difference"] < 1e-4
