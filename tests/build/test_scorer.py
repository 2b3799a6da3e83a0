"""What is measured of a frozen network, against what can be written down."""

import numpy as np
import pytest
import torch
from conftest import FAMILIES
from torch.nn import functional as F

from peftlab.backbone.int8 import quantised
from peftlab.backbone.plain import plain
from peftlab.build.scorer import Scorer
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.site import LINEAR, NORM, Site


@pytest.fixture
def vit(family):
    """A scorer on a random ViT, with the images that it sees."""
    backbone = family("plain")
    rng = torch.Generator().manual_seed(1)
    images, labels = torch.randn(7, 3, 32, 32, generator=rng), torch.arange(7) % 3
    head = torch.nn.Linear(backbone.num_features, 3)

    def batch(start, stop):
        return Batch({"images": images[start:stop]}, labels[start:stop], torch.arange(start, stop))

    return Scorer(backbone, head, F.cross_entropy, batch, 7), images, labels


def test_batches_are_the_first_images_and_no_more_than_there_are(vit):
    scorer, images, _ = vit
    assert [len(batch.targets) for batch in scorer.batches(5, 2)] == [2, 2, 1]
    assert torch.equal(torch.cat([batch.inputs["images"] for batch in scorer.batches(99, 3)]), images)


def test_gradients_are_those_of_a_training_step(vit):
    """Against autograd on the modules themselves."""
    scorer, images, labels = vit
    model = scorer.backbone.model
    (found,) = scorer.gradients(7, 7)
    model.requires_grad_(True)
    try:
        F.cross_entropy(scorer.head(model(images)), labels).backward()
        for name, value in model.named_parameters():
            torch.testing.assert_close(found[name], value.grad, msg=name)
    finally:
        model.requires_grad_(False)
        model.zero_grad()


def test_a_network_in_int8_has_the_scores_of_the_numbers_that_it_stands_for(vit):
    pytest.importorskip("torchao", reason="peftlab[quantise] is not installed")
    scorer, twin = vit[0], FAMILIES["plain"]()
    rounded = quantised(FAMILIES["plain"](), "int8")
    with torch.no_grad():
        for name, value in twin.model.named_parameters():
            value.copy_(plain(rounded.model.get_parameter(name)))
    sites, found = [Site(0, "q"), Site(1, "ffn")], []
    for backbone in (rounded, twin):
        own = Scorer(backbone, scorer.head, scorer.loss, scorer._batch, 7)
        scores = [own.squared_gradients(sites, 4, 2), own.energies(sites, 4, 2), own.condition_numbers(sites)]
        scores += [own.feature_norms(sites, 4, 2), own.residual_norms(sites, 4, 2)]
        assert own.num_weights(sites[0]) == scorer.num_weights(sites[0])
        found.append([value for score in scores for value in score.values()])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_nothing_of_the_backbone_changes(vit):
    scorer = vit[0]
    model = scorer.backbone.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sites = [Site(0, "q"), Site(1, "ffn")]
    scorer.squared_gradients(sites, 4, 2)
    scorer.mean_gradient_norms(sites, 4, 2)
    scorer.energies(sites, 4, 2)
    scorer.feature_norms(sites, 4, 2)
    scorer.condition_numbers(sites)
    scorer.residual_norms(sites, 4, 2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(value.requires_grad or value.grad is not None for value in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_sublayer_is_scored_by_the_weights_of_its_layers(vit):
    scorer = vit[0]
    members = {"attn": ("q", "k", "v", "out"), "ffn": ("mlp1", "mlp2"), "kv": ("k", "v")}
    members["tokens"] = members["attn"] + members["ffn"]
    single = [Site(1, name) for name in members["tokens"]]
    squares = scorer.squared_gradients([*single, *(Site(1, name) for name in members)], 7, 3)
    for name, own in members.items():
        parts = [Site(1, member) for member in own]
        assert squares[Site(1, name)] == pytest.approx(sum(squares[site] for site in parts), rel=1e-12)
        assert scorer.num_weights(Site(1, name)) == sum(scorer.num_weights(site) for site in parts)
    assert scorer.num_weights(Site(0, "q")) == 16 * 16 + 16
    assert scorer.num_weights(Site(0, "ffn")) == 2 * 16 * 64 + 16 + 64


def test_the_mean_gradient_does_not_depend_on_the_batches(vit):
    scorer = vit[0]
    sites = [Site(0, "q"), Site(0, "mlp2"), Site(1, "norm1")]
    whole = scorer.mean_gradient_norms(sites, 7, 7)
    for size in (1, 2, 3, 5):
        assert scorer.mean_gradient_norms(sites, 7, size) == pytest.approx(whole, rel=1e-4)


def test_one_batch_of_squares_is_the_square_of_the_norm(vit):
    scorer = vit[0]
    sites = [Site(0, "k"), Site(1, "mlp1")]
    norms = scorer.mean_gradient_norms(sites, 6, 6)
    assert scorer.squared_gradients(sites, 6, 6) == pytest.approx({s: n**2 for s, n in norms.items()})


def test_energies_are_those_of_a_forward_by_hand(vit):
    """The first block, module by module, without a hook."""
    scorer, images, _ = vit
    model = scorer.backbone.model
    block = model.blocks[0]
    with torch.no_grad():
        x = model.norm_pre(model._pos_embed(model.patch_embed(images)))
        n1 = block.norm1(x)
        q, k, v = block.attn.qkv(n1).chunk(3, dim=-1)
        heads = [
            ((q[..., s] @ k[..., s].transpose(1, 2)) / 8**0.5).softmax(-1) @ v[..., s]
            for s in (slice(0, 8), slice(8, 16))
        ]
        mixed = torch.cat(heads, dim=-1)
        attn = block.attn.proj(mixed)
        n2 = block.norm2(x + attn)
        hidden = block.mlp.fc1(n2)
        active = F.gelu(hidden)
        ffn = block.mlp.fc2(active)
    expected = {"q": (n1, q), "k": (n1, k), "v": (n1, v), "out": (mixed, attn), "mlp1": (n2, hidden)}
    expected |= {"mlp2": (active, ffn), "attn": (n1, attn), "ffn": (n2, ffn), "kv": (n1, mixed)}
    expected |= {"tokens": (x, x), "norm1": (x, n1), "norm2": (x + attn, n2)}
    sites = [Site(0, name) for name in expected]
    for size in (7, 3):
        found = scorer.energies(sites, 7, size)
        for name, pair in expected.items():
            own = tuple(value.square().mean().item() for value in pair)
            assert found[Site(0, name)] == pytest.approx(own, rel=1e-4), name


def test_feature_norms_are_those_of_a_forward_by_hand(vit):
    """The first block, module by module, without a hook."""
    scorer, images, _ = vit
    model = scorer.backbone.model
    block = model.blocks[0]
    with torch.no_grad():
        x = model.norm_pre(model._pos_embed(model.patch_embed(images)))
        n1 = block.norm1(x)
        n2 = block.norm2(x + block.attn(n1))
        weights = block.attn.qkv.weight.chunk(3)
        first = block.mlp.fc1.weight

    def nfn(weight, z):
        ratios = (z @ weight.T).norm(dim=-1) / z.norm(dim=-1)
        return (ratios.mean() * 16**0.5 / weight.norm()).item()

    expected = {"q": nfn(weights[0], n1), "k": nfn(weights[1], n1), "v": nfn(weights[2], n1)}
    expected |= {"mlp1": nfn(first, n2), "kv": (nfn(weights[1], n1) + nfn(weights[2], n1)) / 2}
    sites = [Site(0, name) for name in expected]
    for size in (7, 3):
        found = scorer.feature_norms(sites, 7, size)
        assert found == pytest.approx({site: expected[site.position] for site in sites}, rel=1e-5)


def test_residual_norms_are_what_least_squares_gives_of_the_gradients_of_the_outputs(vit):
    """Of mlp1 and mlp2, whose outputs are leaves of a forward by hand of the last block."""
    scorer, images, labels = vit
    model = scorer.backbone.model
    block = model.blocks[1]
    with torch.no_grad():
        x = model.blocks[0](model.norm_pre(model._pos_embed(model.patch_embed(images))))
        middle = x + block.attn(block.norm1(x))
        reads = {"mlp1": block.norm2(middle)}
    first = block.mlp.fc1(reads["mlp1"]).detach().requires_grad_()
    reads["mlp2"] = block.mlp.act(first)
    second = block.mlp.fc2(reads["mlp2"]).detach().requires_grad_()
    logits = scorer.head(model.forward_head(model.norm(middle + second)))
    F.cross_entropy(logits, labels).backward()
    block.mlp.fc2(reads["mlp2"]).backward(second.grad)
    expected = {}
    for name, output in (("mlp1", first), ("mlp2", second)):
        z = reads[name].detach().flatten(0, 1).double()
        wanted = -output.grad.flatten(0, 1).double() * len(z)
        given = z @ torch.linalg.lstsq(z, wanted, driver="gelsd", rcond=1e-3).solution
        expected[Site(1, name)] = given.square().sum(1).mean().sqrt().item()
    both = Site(1, "ffn")
    for size in (7, 3):
        found = scorer.residual_norms([*expected, both], 7, size)
        assert {site: found[site] for site in expected} == pytest.approx(expected, rel=1e-3)
        assert found[both] == pytest.approx(sum(value**2 for value in expected.values()) ** 0.5, rel=1e-3)


def test_condition_numbers_are_numpys_and_of_several_layers_their_geometric_mean(vit):
    scorer = vit[0]
    block = scorer.backbone.model.blocks[1]
    matrices = dict(zip("qkv", block.attn.qkv.weight.chunk(3), strict=True))
    matrices |= {"out": block.attn.proj.weight, "mlp1": block.mlp.fc1.weight, "mlp2": block.mlp.fc2.weight}
    single = {key: np.linalg.cond(value.double().numpy()) for key, value in matrices.items()}
    members = {
        "attn": ("q", "k", "v", "out"),
        "ffn": ("mlp1", "mlp2"),
        "kv": ("k", "v"),
        "tokens": tuple(single),
    }
    means = {name: np.exp(np.mean([np.log(single[key]) for key in own])) for name, own in members.items()}
    expected = {Site(1, name): value for name, value in {**single, **means}.items()}
    assert scorer.condition_numbers(list(expected)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "llama", "opt", "bart", "t5", "mamba"])
def test_padding_does_not_count(scorer_of, family, kind):
    """A batch of texts of several lengths against each text alone."""
    backbone = family(kind)
    scorer = scorer_of(backbone, torch.nn.Linear(backbone.num_features, 3), 4)
    sites = [site for site in backbone.places if site.position in LINEAR]
    together = [scorer.feature_norms(sites, 4, 4), scorer.residual_norms(sites, 4, 4)]
    (batch,) = scorer.batches(4, 4)
    counts = batch.inputs["attention_mask"].sum(1).tolist()
    assert len(set(counts)) > 1
    rows = [{key: value[i : i + 1, :n] for key, value in batch.inputs.items()} for i, n in enumerate(counts)]
    scorer._batch = lambda start, stop: Batch(rows[start], batch.targets[start:stop], batch.rows[start:stop])
    alone = [scorer.feature_norms(sites, 4, 1), scorer.residual_norms(sites, 4, 1)]
    assert together == [pytest.approx(found, rel=1e-4) for found in alone]


@pytest.mark.parametrize("name", ["dinov2", "clip", "average", "eva02", "swin"])
def test_every_place_of_every_family_has_an_energy_and_gradients(family, name):
    backbone = family(name)
    size = backbone.input_spec.size
    images, labels = torch.randn(2, 3, size, size), torch.tensor([0, 1])

    def batch(start, stop):
        return Batch({"images": images[start:stop]}, labels[start:stop], labels[start:stop])

    scorer = Scorer(backbone, torch.nn.Linear(backbone.num_features, 2), F.cross_entropy, batch, 2)
    sites = list(backbone.places)
    assert all(read > 0 and wrote > 0 for read, wrote in scorer.energies(sites, 2, 2).values())
    assert all(score > 0 for score in scorer.squared_gradients(sites, 2, 2).values())
    with_matrix = [site for site in sites if site.position not in NORM]
    for found in (scorer.feature_norms(with_matrix, 2, 2), scorer.residual_norms(with_matrix, 2, 2)):
        assert all(0 < score < float("inf") for score in found.values())
    assert all(score >= 1 for score in scorer.condition_numbers(with_matrix).values())
    with pytest.raises(UserError, match=r"^placement: 0\.norm1 of .* has no weight matrix; legal: q, k, v"):
        scorer.condition_numbers([Site(0, "norm1")])
