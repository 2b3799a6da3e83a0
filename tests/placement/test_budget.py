"""placement.budget: what it means, and the widths that meet it."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.budget import Cost, parse_budget, solve
from peftlab.site import LINEAR, Site

ALL = [Site(block, name) for block in range(12) for name in LINEAR if name not in ("gate", "proj")]
STEP = {"mlp1": 3840, "mlp2": 3840}  # LoRA on ViT-B: d_in + d_out; 1536 elsewhere


def lora(sites: list[Site], rank: int = 8) -> list[Cost]:
    return [Cost(site, 0, STEP.get(site.position, 1536), rank) for site in sites]


def total(costs: list[Cost], widths: dict[Site, int]) -> int:
    return sum(cost.fixed + cost.step * widths.get(cost.site, 0) for cost in costs)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("0.3M", 300_000),
        ("300k", 300_000),
        ("589824", 589_824),
        (300_000, 300_000),
        (1e5, 100_000),
        ("1.5 M", 1_500_000),
        ("3e5", 300_000),
        ("0.29M", 290_000),
        (None, None),
    ],
)
def test_numbers(given: Any, number: int | None) -> None:
    assert parse_budget(given) == number


@pytest.mark.parametrize("given", ["0.3", 0.3, "M", "", "0.3G", "-1", "many", "0.3MM", 0])
def test_no_numbers(given: Any) -> None:
    with pytest.raises(UserError, match=r"^placement\.budget=.* is no number of parameters; legal: .*0\.3M"):
        parse_budget(given)


def test_lora_on_q_and_v_of_vit_base() -> None:
    """2 x 12 x 1536 x 16 = 589,824."""
    sites = [site for site in ALL if site.position in "qv"]
    assert solve(lora(sites), 589_824) == dict.fromkeys(sites, 16)


@pytest.mark.parametrize(
    "sites",
    [
        *([site for site in ALL if site.position == name] for name in STEP | {"q": 0, "out": 0}),
        *([site for site in ALL if start <= site.block < start + 3] for start in (0, 3, 6, 9)),
        ALL,
        [Site(4, "v")],
        [Site(11, "mlp1")],
    ],
)
def test_placements_of_one_sweep_have_one_size(sites: list[Site]) -> None:
    costs = lora(sites)
    widths = solve(costs, 300_000)
    assert set(widths) == set(sites)
    assert abs(total(costs, widths) - 300_000) <= 3_000
    assert max(widths.values()) - min(widths.values()) <= 1


COSTS = st.lists(
    st.tuples(st.sampled_from(ALL), st.integers(0, 50), st.integers(1, 40), st.integers(1, 64)),
    min_size=1,
    max_size=40,
    unique_by=lambda item: item[0],
).map(lambda items: [Cost(*item) for item in items])


@given(COSTS, st.integers(1, 20_000))
def test_within_one_percent_or_refused_for_a_reason(costs: list[Cost], extra: int) -> None:
    """Any budget that holds width 1 everywhere and 50 of the largest step is met."""
    least = sum(cost.fixed + cost.step for cost in costs)
    largest = max(cost.step for cost in costs)
    try:
        widths = solve(costs, extra)
    except UserError as error:
        refused = str(error)
        assert extra < least or largest > 0.02 * extra, refused
        return
    assert abs(total(costs, widths) - extra) * 100 <= extra
    assert min(widths.values()) >= 1
    again = solve(list(reversed(costs)), extra)
    assert again == widths


@given(COSTS, st.integers(1, 9))
def test_a_multiple_of_the_nominal_size_gives_a_multiple_of_the_nominal_widths(
    costs: list[Cost], factor: int
) -> None:
    budget = total(costs, {cost.site: factor * cost.nominal for cost in costs})
    assert solve(costs, budget) == {cost.site: factor * cost.nominal for cost in costs}


@given(COSTS, st.integers(1, 20_000))
def test_widths_keep_the_proportions_of_the_nominal_ones(costs: list[Cost], extra: int) -> None:
    """Some t exists with |width - max(1, t nominal)| <= 1 at every site."""
    budget = extra + 50 * max(cost.step for cost in costs) + sum(cost.fixed + cost.step for cost in costs)
    widths = solve(costs, budget)
    low = [Fraction(widths[cost.site] - 1, cost.nominal) for cost in costs if widths[cost.site] > 2]
    high = [Fraction(widths[cost.site] + 1, cost.nominal) for cost in costs]
    assert max(low, default=Fraction(0)) <= min(high)


def test_what_is_left_is_spread_over_the_depth() -> None:
    sites = [Site(block, "q") for block in range(8)]
    costs = [Cost(site, 0, 100, 4) for site in sites]
    for left, blocks in ((1, {0}), (2, {0, 4}), (4, {0, 2, 4, 6})):
        widths = solve(costs, 100 * (8 * 30 + left))
        assert {site.block for site, width in widths.items() if width == 31} == blocks
        assert set(widths.values()) == {30, 31}


def test_what_cannot_be_reached_is_named() -> None:
    site = [Cost(Site(0, "q"), 7, 100, 4)]
    with pytest.raises(UserError) as error:
        solve(site, 150)
    text = "placement.budget=150 falls between two sizes of the deltas; legal: within 1 % of 107 or of 207, or other sites"
    assert str(error.value) == text
    with pytest.raises(
        UserError, match=r"is less than a width of 1 at every site costs; legal: within 1 % of 107,"
    ):
        solve(site, 50)
    with pytest.raises(UserError, match=r"no placed site has a width to solve for"):
        solve([Cost(Site(0, "q"), 7, 0, 1)], 7)
