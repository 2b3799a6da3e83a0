"""placement=residual_norm against least squares on what the loss wants of each token."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from peftlab.errors import UserError
from peftlab.placement.ground import Placement
from peftlab.placement.residual_norm import residual_norm
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(ground, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "num_samples": 10, "batch_size": 4}
    return residual_norm(ground, **{**full, **options})


def by_hand(toy, num):
    """In numpy: each image is one token x, of whose output the loss wants -f, of k twice that, of v nothing; fitted without a bias."""
    x = toy.x[:num, :3].numpy()
    f = toy.gradients[:num, :, 3].numpy()  # of the bias
    fit, *_ = np.linalg.lstsq(x, f, rcond=None)
    given = np.sqrt(np.square(x @ fit).sum(1).mean())
    return {Q: given, K: 2 * given, V: 0.0}


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("num", [5, 10])
def test_the_norm_of_what_a_linear_map_of_the_input_can_give(toy, size, num):
    placed = choose(toy.ground, batch_size=size, num_samples=num)
    assert placed.scores == pytest.approx(by_hand(toy, num), rel=1e-6)
    assert placed.cells == {K: {}}
    assert list(placed.scores) == [K, Q, V]
    assert not placed.is_open


def test_fewer_tokens_than_channels_leave_nothing_that_cannot_be_given(toy):
    f = toy.gradients[:2, :, 3]
    expected = f.square().sum(1).mean().sqrt().item()
    assert choose(toy.ground, num_samples=2).scores[Q] == pytest.approx(expected, rel=1e-6)


def test_the_scale_and_the_shape_of_what_is_read_say_nothing(toy):
    """x -> M x with W -> W M^-1 is the same network: gradient_norm changes, this does not."""
    before = choose(toy.ground).scores
    gradients = toy.ground.scorer.mean_gradient_norms([Q], 10, 10)
    mixing = torch.tensor([[20.0, 0, 0], [3, 0.5, 0], [0, 2, 1]], dtype=torch.float64)
    toy.model.qkv.weight[:] = toy.model.qkv.weight @ mixing.inverse()
    batch = toy.ground.scorer._batch

    def mixed(start, stop):
        own = batch(start, stop)
        images = torch.einsum("ij,bjhw->bihw", mixing, own.inputs["images"])
        return own._replace(inputs={"images": images})

    toy.ground.scorer._batch = mixed
    assert choose(toy.ground).scores == pytest.approx(before, rel=1e-6)
    assert toy.ground.scorer.mean_gradient_norms([Q], 10, 10)[Q] > 3 * gradients[Q]


def test_a_loss_that_wants_nothing_ranks_nothing(toy):
    toy.model.qkv.weight[:] = 0
    toy.model.qkv.bias[:] = 0
    with pytest.raises(UserError, match=r"^placement=residual_norm: every site has the score 0"):
        choose(toy.ground)


def test_without_a_network_all_candidates_are_named(toy):
    ground = replace(toy.ground, scorer=None)
    assert choose(ground) == Placement({site: {} for site in (Q, K, V)}, is_open=True)
