"""VeRA against Hugging Face PEFT on the same matrices, against its definition, and its counts."""

import copy
import math

import pytest
import torch

import peftlab
from peftlab.peft.vera import Projections, Vera
from peftlab.peft.view import Now, View
from peftlab.stream import generator

POSITIONS = ["q", "v", "out", "mlp1", "mlp2"]
OPTIONS = {"rank": 6, "d_initial": 0.1, "dropout": 0.0}


def vera(d_in=5, d_out=7, shared=None, **options):
    shared = shared or Projections(9, 11, 8, generator(0, "test"))
    return Vera(View(d_in, d_out, shared=shared), torch.Generator(), **{**OPTIONS, **options})


def matrices(delta):
    """B and A, with their bounds."""
    d_out, d_in, rank = len(delta.b), delta.num_in, delta.width
    B, A = delta.shared.B[:d_out, :rank], delta.shared.A[:rank, :d_in]
    return B * math.sqrt(6 / rank), A * math.sqrt(6 / d_in)


def randomised(delta, rng):
    with torch.no_grad():
        for value in delta.parameters():
            value.copy_(0.5 * torch.randn(value.shape, generator=rng))
    return delta


def copy_to(layer, delta):
    """Ours to a layer of Hugging Face's; the pairs of parameters."""
    buffers = type(layer.vera_A)
    B, A = matrices(delta)
    layer.vera_A, layer.vera_B = buffers({"default": A}), buffers({"default": B})
    return [(delta.b, layer.vera_lambda_b["default"]), (delta.d, layer.vera_lambda_d["default"])]


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("family_name", ["plain", "dinov2", "clip"])
def test_learns_as_hugging_face_s(
    hugging_face, theirs, learn_alike, recipe, own_family, adapt, family_name, start
):
    backbone, rng = own_family(family_name), torch.Generator().manual_seed(3)
    model, _ = adapt(recipe("vera", **{"peft.rank": 6, "placement.position": POSITIONS}), backbone)
    model.double()
    wrapped, layers = theirs(backbone, hugging_face.VeraConfig(r=6, d_initial=0.1))
    pairs = []
    for key, delta in model.deltas.items():
        own = copy_to(layers[key], delta)
        assert all(torch.equal(*pair) for pair in own)  # as they start
        randomised(delta, rng)
        if start:
            torch.nn.init.normal_(delta.b, std=1e-3, generator=rng)
            torch.nn.init.constant_(delta.d, 0.1)
        pairs += own
    learn_alike(model, wrapped, pairs)


def test_dropout_is_hugging_face_s(hugging_face, theirs, recipe, family, adapt):
    backbone, rng = family("plain"), torch.Generator().manual_seed(3)
    model, _ = adapt(recipe("vera", cells={"1.mlp1": {}}, **{"peft.rank": 6, "peft.dropout": 0.5}), backbone)
    _, layers = theirs(backbone, hugging_face.VeraConfig(r=6, vera_dropout=0.5))
    delta, layer = randomised(model.deltas["1_mlp1"], rng), layers["1_mlp1"]
    for own, same in copy_to(layer, delta):
        same.data.copy_(own.data)
    x, base = torch.randn(2, 5, 16, generator=rng), layer.base_layer
    torch.manual_seed(0)
    got = delta(x, Now(training=True))
    torch.manual_seed(0)
    torch.testing.assert_close(got, layer.train()(x) - base(x), rtol=1e-4, atol=1e-4)
    assert delta.factors(Now(training=True)) is None
    assert delta.factors() is not None


def test_closed_form():
    delta = randomised(vera(), torch.Generator().manual_seed(1)).double()
    B, A = matrices(delta)
    x = torch.randn(4, 5, dtype=torch.float64)
    expected = x @ (delta.b.diag() @ B @ delta.d.diag() @ A).T
    torch.testing.assert_close(delta(x), expected, rtol=1e-12, atol=1e-12)
    B, A = delta.factors()
    torch.testing.assert_close(x @ (B @ A).T, expected, rtol=1e-12, atol=1e-12)


def test_the_start_is_exactly_nothing_and_d_learns_after_b():
    delta = vera()
    x = torch.randn(4, 5)
    assert not delta(x).any()
    assert delta.d.tolist() == pytest.approx([0.1] * 6)
    delta(x).sum().backward()
    assert delta.b.grad.all()
    assert not delta.d.grad.any()


def test_matrices_are_kaiming_uniform_and_differ():
    """U(-bound, bound) with bound = sqrt(6 / inputs), as torch's default gain of a ReLU gives."""
    shared = Projections(400, 300, 50, generator(0, "test"))
    delta = vera(400, 300, shared, rank=50)
    for value, num_in in zip(matrices(delta), (50, 400), strict=True):
        reference = torch.nn.init.kaiming_uniform_(torch.empty(4000, num_in))
        assert value.abs().max() <= math.sqrt(6 / num_in)
        assert abs(value.std().item() / reference.std().item() - 1) < 0.02
        assert abs(value.mean().item()) < 0.02 * math.sqrt(6 / num_in)
    rows = torch.cat([shared.A[:, :300], shared.B.T])
    assert (torch.corrcoef(rows) - torch.eye(100)).abs().max() < 0.35


def test_a_larger_matrix_holds_every_smaller_one():
    large = Projections(70, 90, 12, generator(0, "test"))
    for num_in, num_out, rank in ((1, 90, 12), (70, 3, 5), (17, 16, 1), (70, 90, 12)):
        small = Projections(num_in, num_out, rank, generator(0, "test"))
        assert torch.equal(small.A, large.A[:rank, :num_in])
        assert torch.equal(small.B, large.B[:num_out, :rank])


def test_the_start_of_a_site_does_not_depend_on_the_others(recipe, family, adapt):
    """Neither on their widths nor on their ranks; on the seed it does."""
    backbone = family("plain")
    alone = {"1.v": {"rank": 4}}
    others = (
        {},
        {"0.v": {"rank": 4}},
        {"0-1.mlp1": {"rank": 9}},
        {"0.mlp2": {"rank": 3}, "1.q": {"rank": 70}},
    )
    starts = []
    for seed, cells in [*((0, {**alone, **more}) for more in others), (1, alone)]:
        model, _ = adapt(recipe("vera", "fixed", cells, seed=seed), backbone)
        delta = model.deltas["1_v"]
        torch.nn.init.ones_(delta.b)
        starts.append(torch.cat([value.flatten() for value in delta.factors()]))
    assert all(torch.equal(start, starts[0]) for start in starts[1:-1])
    assert not torch.equal(starts[-1], starts[0])


def test_all_sites_share_one_module_also_when_copied(recipe, family, adapt):
    model, _ = adapt(recipe("vera"), family("plain"))
    for cell in (model.cell, copy.deepcopy(model.cell).to(torch.float64)):
        assert len({id(delta.shared.A) for delta in cell.deltas.values()}) == 1
    shared = model.deltas["0_q"].shared
    assert shared.A.shape == (256, 64)
    assert not list(shared.parameters())


@pytest.mark.parametrize(("rank", "position", "count"), [(256, ["q", "v"], 24_576), (256, "all", 101_376)])
def test_counts_on_vit_base(recipe, vit_base, adapt, rank, position, count):
    """The paper's table 4 has 24.6K for q and v at rank 256; at all six layers 12 (9 d + 6 r)."""
    model, _ = adapt(recipe("vera", **{"peft.rank": rank, "placement.position": position}), vit_base)
    assert model.num_parameters()["delta"] == count


def test_a_budget_counts_what_is_trained(recipe, vit_base, adapt):
    model, _ = adapt(recipe("vera", **{"placement.budget": 150_000}), vit_base)
    assert abs(model.num_parameters()["delta"] - 150_000) <= 1_500


@pytest.mark.slow
def test_a_run_comes_back_whatever_its_stream_gives_now(finished, monkeypatch):
    """The projections are saved, once for all sites."""
    folder, model = finished("peft=vera", "peft.rank=16", "scaling=learned")
    images = torch.randn(4, 3, 32, 32)
    logits = model(images)
    assert torch.equal(peftlab.load(folder)(images), logits)
    monkeypatch.setattr("peftlab.peft.vera._uniform", lambda num, seed: torch.zeros(num))
    assert torch.equal(peftlab.load(folder)(images), logits)
    assert [name for name in model.state() if ".shared." in name] == [
        "deltas.0_q.shared.A",
        "deltas.0_q.shared.B",
    ]


@pytest.mark.parametrize("granularity", ["site", pytest.param("channel", marks=pytest.mark.slow)])
def test_exports(finished, granularity):
    from peftlab.export.export import export

    words = ("peft=vera", "peft.rank=16", "scaling=learned", f"scaling.granularity={granularity}")
    folder, _ = finished(*words)
    for to in ("timm", "peft", "adapter"):
        card = export(folder, to, folder / to, rank=None, images=None)
        assert card["largest_logit_difference"] < 1e-4
