"""placement=gradient_norm against gradients by hand: q has f x^T, k twice that, v none."""

from dataclasses import replace

import pytest

from peftlab.placement.gradient_norm import gradient_norm
from peftlab.placement.ground import Placement
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(toy, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "by": "norm", "num_samples": 10, "batch_size": 4}
    return gradient_norm(toy.ground, **{**full, **options})


@pytest.mark.parametrize("size", [1, 3, 4, 10, 99])
def test_the_norm_of_the_mean_gradient_whatever_the_batches(toy, size):
    placed = choose(toy, batch_size=size)
    assert placed.cells == {K: {}}
    assert not placed.is_open
    by_hand = toy.gradients.mean(0).norm().item()
    assert placed.scores == pytest.approx({Q: by_hand, K: 2 * by_hand, V: 0}, rel=1e-6)


def test_images_that_pull_in_opposite_directions_cancel(toy):
    """The mean of f x^T, not of |f x^T|, which sensitivity looks at."""
    assert choose(toy).scores[Q] < toy.gradients.flatten(1).norm(dim=1).mean().item()


def test_rms_divides_by_the_root_of_the_number_of_weights(toy):
    scores = choose(toy, by="rms").scores
    assert scores[K] == pytest.approx(2 * toy.gradients.mean(0).square().mean().sqrt().item())


def test_without_a_network_all_candidates_are_named(toy):
    options = {"by": "norm", "num_samples": 1, "batch_size": 1, "depth": "all", "position": "all"}
    assert gradient_norm(replace(toy.ground, scorer=None), keep=1, **options) == Placement(
        {site: {} for site in toy.sites}, is_open=True
    )
