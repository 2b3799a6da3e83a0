"""placement=kappa against numpy's condition number."""

from dataclasses import replace

import numpy as np
import pytest

from peftlab.errors import UserError
from peftlab.placement.ground import Placement
from peftlab.placement.kappa import kappa
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(ground, **options):
    return kappa(ground, **{"keep": 1, "depth": "all", "position": "all", **options})


def test_the_condition_number_of_each_slice_of_a_fused_layer(toy):
    thirds = np.split(toy.model.qkv.weight.numpy(), 3)
    expected = {site: np.linalg.cond(w) for site, w in zip((Q, K, V), thirds, strict=True)}
    placed = choose(toy.ground)
    assert placed.scores == pytest.approx(expected, rel=1e-12)
    assert placed.cells == {min(expected, key=expected.__getitem__): {}}
    assert list(placed.scores) == sorted(expected, key=expected.__getitem__)
    assert not placed.is_open


def test_an_isometry_comes_first_and_a_singular_matrix_last(toy):
    import torch

    weight = torch.zeros(6, 3, dtype=torch.float64)
    weight[0, 0], weight[1, 1] = 1, 0.1  # q: 10
    weight[2, 0] = 5  # k: rank 1
    weight[4, 1], weight[5, 2] = 7, -7  # v: 1, whatever the scale
    toy.model.qkv.weight[:] = weight
    placed = choose(toy.ground, keep=2)
    assert list(placed.scores.items()) == [(V, 1), (Q, pytest.approx(10)), (K, np.inf)]
    assert set(placed.cells) == {Q, V}


def test_no_item_is_read(toy, monkeypatch):
    expected = choose(toy.ground)
    monkeypatch.setattr(toy.ground.scorer, "_batch", None)
    assert choose(toy.ground) == expected


def test_weights_that_are_not_finite_are_refused(toy):
    toy.model.qkv.weight[3, 1] = float("inf")
    with pytest.raises(UserError, match=r"^placement=kappa: the score of 0\.k is nan; legal: "):
        choose(toy.ground)


def test_without_a_network_all_candidates_are_named_and_a_norm_is_refused(toy):
    open_ground = replace(toy.ground, scorer=None)
    assert choose(open_ground) == Placement({site: {} for site in toy.sites}, is_open=True)
    with pytest.raises(UserError, match=r"^placement=kappa scores weight matrices, and norm2 has none"):
        choose(replace(open_ground, candidates=[Site(0, "norm2")]))
