"""placement=plop against feature norms by hand."""

from dataclasses import replace

import numpy as np
import pytest

from peftlab.errors import UserError
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.plop import plop
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(ground, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "by": "site", "num_samples": 10, "batch_size": 4}
    return plop(ground, **{**full, **options})


def by_hand(toy, num):
    """In numpy: the ratio for each image, whose mean colour is the one token."""
    z, rows = toy.x[:num, :3].numpy(), toy.model.qkv.weight.numpy()
    found = {}
    for site, w in zip((Q, K, V), np.split(rows, 3), strict=True):
        ratios = [
            np.sqrt(3) * np.linalg.norm(w @ one) / (np.linalg.norm(w) * np.linalg.norm(one)) for one in z
        ]
        found[site] = np.mean(ratios)
    return found


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("num", [5, 10])
def test_the_mean_ratio_whatever_the_batches_and_without_the_bias(toy, size, num):
    expected = by_hand(toy, num)
    toy.model.qkv.bias[:] = 100
    placed = choose(toy.ground, batch_size=size, num_samples=num)
    assert placed.scores == pytest.approx(expected, rel=1e-12)
    assert placed.cells == {min(expected, key=expected.__getitem__): {}}
    assert list(placed.scores) == sorted(expected, key=expected.__getitem__)
    assert not placed.is_open


def test_random_vectors_of_the_same_norm_are_what_it_divides_by(toy):
    """The published denominator, drawn: its root mean square over many directions."""
    rng = np.random.default_rng(0)
    z = toy.x[0, :3].numpy()
    noise = rng.standard_normal((200_000, 3))
    noise *= np.linalg.norm(z) / np.linalg.norm(noise, axis=1, keepdims=True)
    w = toy.model.qkv.weight.numpy()[:2]
    drawn = np.linalg.norm(w @ z) / np.sqrt(np.square(noise @ w.T).sum(1).mean())
    assert choose(toy.ground, num_samples=1).scores[Q] == pytest.approx(drawn, rel=0.01)


def test_a_weight_that_is_blind_to_what_it_reads_is_adapted_and_one_that_looks_there_is_not(toy):
    """The direction: k looks across the main direction of the tokens, q along it; scales say nothing."""
    import torch

    _, _, main = torch.linalg.svd(toy.x[:, :3])
    toy.model.qkv.weight[:] = torch.cat([main[[0, 0]], 1000 * main[[2, 2]], main[:2]])
    placed = choose(toy.ground, keep=2)
    assert list(placed.scores) == [K, V, Q]
    assert placed.scores[Q] > 1 > placed.scores[K]
    assert set(placed.cells) == {K, V}


def test_types_have_the_mean_of_their_sites_and_the_lower_blocks_come_first(toy, monkeypatch):
    scores = {Site(0, "q"): 0.1, Site(1, "q"): 3.9, Site(0, "v"): 1.0, Site(1, "v"): 2.0}
    monkeypatch.setattr(
        toy.ground.scorer, "feature_norms", lambda sites, num, size: {site: scores[site] for site in sites}
    )
    ground = Ground(["0", "1"], ["q", "v"], sorted(scores), toy.ground.scorer)
    placed = choose(ground, by="type", keep=1)
    assert placed.scores == {Site(0, "v"): 1.5, Site(1, "v"): 1.5, Site(0, "q"): 2.0, Site(1, "q"): 2.0}
    assert list(placed.cells) == [Site(0, "v")]
    assert list(choose(ground, by="type", keep=2).cells) == [Site(0, "v"), Site(1, "v")]
    assert list(choose(ground, by="site", keep=2).cells) == [Site(0, "q"), Site(0, "v")]


def test_weights_that_are_all_0_are_refused(toy):
    toy.model.qkv.weight[:2] = 0
    with pytest.raises(UserError, match=r"^placement=plop: the score of 0\.q is nan; legal: "):
        choose(toy.ground)


def test_without_a_network_all_candidates_are_named_and_a_norm_is_refused(toy):
    open_ground = replace(toy.ground, scorer=None)
    assert choose(open_ground) == Placement({site: {} for site in toy.sites}, is_open=True)
    norms = replace(open_ground, candidates=[Q, Site(0, "norm1")])
    with pytest.raises(UserError, match=r"^placement=plop scores weight matrices, and norm1 has none"):
        choose(norms)
