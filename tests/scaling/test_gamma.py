"""gamma per group, its fixed multiplier, and the inverse of softplus."""

import math

import pytest
import torch
from torch.nn import functional as F

from peftlab.errors import UserError
from peftlab.scaling.gamma import Gamma, Scaled, initial_raw
from peftlab.site import LINEAR, Site

PLACES = [
    Scaled(Site(0, "q"), 4, 6, 1.0, 6),
    Scaled(Site(0, "mlp1"), 16, 8, 0.5, 6),
    Scaled(Site(1, "q"), 4, 6, 1.0, 6),
]


@pytest.mark.parametrize(
    ("rule", "factors"),
    [
        ("plain", [1, 0.5, 1]),
        ("over_rank", [1 / 4, 1 / 32, 1 / 4]),
        ("over_sqrt_rank", [1 / 2, 1 / 8, 1 / 2]),
    ],
)
@pytest.mark.parametrize("value", [None, 3.0])
def test_rules(rule, factors, value):
    """multiplier = value * the site's own scale * rule(width)."""
    gamma = Gamma(PLACES, value=value, rule=rule)
    expected = [factor * (value or 1) for factor in factors]
    assert gamma.multiplier.tolist() == pytest.approx(expected)
    assert {str(site): scale.item() for site, scale in gamma.scales().items()} == pytest.approx(
        dict(zip(["0.q", "0.mlp1", "1.q"], expected, strict=True))
    )
    assert not list(gamma.parameters())
    assert gamma.state_dict() == {}
    assert gamma.effective().tolist() == [1, 1, 1]


GROUPS = {
    "site": [["0.q"], ["0.mlp1"], ["1.q"]],
    "block": [["0.q", "0.mlp1"], ["1.q"]],
    "position": [["0.q", "1.q"], ["0.mlp1"]],
    "global": [["0.q", "0.mlp1", "1.q"]],
}


@pytest.mark.parametrize("granularity", GROUPS)
def test_sites_of_a_group_share_their_gamma(granularity):
    gamma = Gamma(PLACES, value=None, rule="plain", granularity=granularity, activation="identity", raw=1.0)
    groups = GROUPS[granularity]
    assert len(gamma.names) == gamma.raw.numel() == len(groups)
    with torch.no_grad():
        gamma.raw.copy_(torch.arange(1.0, len(groups) + 1))
    scales = {str(site): scale.item() for site, scale in gamma.scales().items()}
    for number, members in enumerate(groups, start=1):
        for site in members:
            assert scales[site] == number * (0.5 if site == "0.mlp1" else 1)


def test_channel_has_one_gamma_per_output():
    gamma = Gamma(PLACES, value=2.0, rule="plain", granularity="channel", activation="identity", raw=1.0)
    assert gamma.raw.shape == (6 + 8 + 6,)
    with torch.no_grad():
        gamma.raw.copy_(torch.arange(20.0))
    scales = gamma.scales()
    assert scales[Site(0, "q")].tolist() == [2.0 * i for i in range(6)]
    assert scales[Site(0, "mlp1")].tolist() == [1.0 * i for i in range(6, 14)]
    assert scales[Site(1, "q")].tolist() == [2.0 * i for i in range(14, 20)]
    assert gamma.names == ["0.q", "0.mlp1", "1.q"]


@pytest.mark.parametrize("wanted", [1e-6, 0.01, 0.1, 1.0, 4.0, 30.0, 100.0])
def test_softplus_of_the_raw_start_is_the_wanted_gamma(wanted):
    raw = initial_raw(wanted, init_raw=False, activation="softplus")
    gamma = Gamma(PLACES, value=None, rule="plain", raw=raw)
    torch.testing.assert_close(gamma.effective(), torch.full((3,), wanted), rtol=1e-5, atol=0)


def test_raw_start():
    assert initial_raw(1.0, init_raw=False, activation="softplus") == pytest.approx(math.log(math.e - 1))
    assert initial_raw(1.0, init_raw=True, activation="softplus") == 1.0
    gamma = Gamma(PLACES, value=None, rule="plain", raw=1.0)
    assert gamma.effective()[0].item() == pytest.approx(1.3133, abs=1e-4)
    assert initial_raw(-2.0, init_raw=False, activation="identity") == -2.0


@pytest.mark.parametrize("wanted", [0.0, -1.0])
def test_softplus_cannot_give_this(wanted):
    with pytest.raises(
        UserError, match=rf"scaling.init={wanted} cannot be reached by softplus; legal: .*above 0"
    ):
        initial_raw(wanted, init_raw=False, activation="softplus")


def test_softplus_keeps_gamma_positive_and_its_slope_is_the_sigmoid():
    gamma = Gamma(PLACES, value=3.0, rule="plain", granularity="global", raw=-4.0)
    scales = gamma.scales()
    assert all(scale > 0 for scale in scales.values())
    sum(scales.values()).backward()
    assert gamma.raw.grad.item() == pytest.approx(
        3 * (1 + 0.5 + 1) * torch.sigmoid(torch.tensor(-4.0)).item()
    )
    assert scales[Site(0, "q")].item() == pytest.approx(3 * F.softplus(torch.tensor(-4.0)).item())


@pytest.mark.parametrize(
    ("granularity", "count"),
    [("site", 72), ("block", 12), ("position", 6), ("global", 1), ("channel", 12 * (5 * 768 + 3072))],
)
def test_counts_of_the_linear_sites_of_vit_base(vit_base, granularity, count):
    places = [
        Scaled(site, 8, place.num_out, 1.0, place.num_in)
        for site, place in vit_base.places.items()
        if site.position in LINEAR
    ]
    gamma = Gamma(places, value=None, rule="plain", granularity=granularity, raw=1.0)
    assert gamma.raw.numel() == count


def test_gammas_are_reported_apart(recipe, vit_base, adapt):
    model, _ = adapt(recipe("lora", "meta"), vit_base)
    numbers = model.num_parameters()
    assert (numbers["gamma"], numbers["delta"], numbers["selected"]) == (72, 1_327_104, 0)
