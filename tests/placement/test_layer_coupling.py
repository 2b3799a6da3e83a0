"""placement=layer_coupling on a network whose sites are coupled by construction."""

from dataclasses import replace

import numpy as np
import pytest

from peftlab.errors import UserError
from peftlab.placement.ground import Placement
from peftlab.placement.layer_coupling import layer_coupling
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(ground, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "num_samples": 10, "batch_size": 4}
    return layer_coupling(ground, **{**full, **options})


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("num", [5, 10])
def test_two_layers_of_one_input_and_one_output_are_one(toy, size, num):
    """q and k give the outputs the same, k twice as much: what one takes is gone for the other, and v says nothing."""
    placed = choose(toy.ground, batch_size=size, num_samples=num)
    x, f = toy.x[:num, :3].numpy(), toy.gradients[:num, :, 3].numpy()
    fit, *_ = np.linalg.lstsq(x, f, rcond=None)
    given = x @ fit
    rest = f - (f * given).sum() / (given * given).sum() * given  # along the step that least squares takes
    before, after = np.linalg.norm(f) / num, np.linalg.norm(rest) / num
    first, second, third = placed.scores
    assert {first, second} == {Q, K}
    assert third == V
    assert placed.scores == pytest.approx({first: before, second: after, third: after}, rel=1e-5)
    assert placed.cells == {first: {}}
    assert not placed.is_open


def test_a_loss_that_wants_nothing_ranks_nothing(toy):
    toy.model.qkv.weight[:] = 0
    toy.model.qkv.bias[:] = 0
    with pytest.raises(UserError, match=r"^placement=layer_coupling: every site has the score 0"):
        choose(toy.ground)


def test_without_a_network_all_candidates_are_named(toy):
    ground = replace(toy.ground, scorer=None)
    assert choose(ground) == Placement({site: {} for site in (Q, K, V)}, is_open=True)
