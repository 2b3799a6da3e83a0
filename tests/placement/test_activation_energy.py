"""placement=activation_energy against activations by hand."""

from dataclasses import replace

import pytest

from peftlab.placement.activation_energy import activation_energy
from peftlab.placement.ground import Placement
from peftlab.site import Site

Q, K, V = (Site(0, name) for name in "qkv")


def choose(toy, **options):
    full = {"keep": 1, "depth": "all", "position": "all", "by": "energy", "num_samples": 10, "batch_size": 4}
    return activation_energy(toy.ground, **{**full, **options})


def by_hand(toy, num=10):
    x = toy.x[:num]
    weight = toy.model.qkv.weight.T
    y = x[:, :3] @ weight + toy.model.qkv.bias
    wrote = {site: y[:, 2 * i : 2 * i + 2].square().mean().item() for i, site in enumerate((Q, K, V))}
    return wrote, x[:, :3].square().mean().item()


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("num", [5, 10])
def test_the_mean_square_of_what_is_written(toy, size, num):
    wrote, read = by_hand(toy, num)
    best = max(wrote, key=wrote.__getitem__)
    placed = choose(toy, batch_size=size, num_samples=num)
    assert placed.cells == {best: {}}
    assert not placed.is_open
    assert placed.scores == pytest.approx(wrote, rel=1e-12)
    ratio = choose(toy, by="ratio", batch_size=size, num_samples=num)
    assert ratio.scores == pytest.approx({site: value / read for site, value in wrote.items()}, rel=1e-12)


def test_a_site_that_writes_more_comes_first(toy):
    toy.model.qkv.bias[4:] += 100  # v, which the loss does not depend on
    assert list(choose(toy).cells) == [V]


def test_without_a_network_all_candidates_are_named(toy):
    options = {"by": "ratio", "num_samples": 1, "batch_size": 1, "depth": "all", "position": "all"}
    assert activation_energy(replace(toy.ground, scorer=None), keep=1, **options) == Placement(
        {site: {} for site in toy.sites}, is_open=True
    )
