"""What a placement asks of the method that is placed."""

from collections.abc import Callable
from typing import Any

import pytest
from fixtures.configs import composed

from peftlab.config.resolve import choice, resolve
from peftlab.errors import UserError
from peftlab.placement.rules import Widths, check_budget, check_no_sites, check_supernet

Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]


def test_a_placement_has_no_effect_on_a_linear_probe(change: Change, refused: Refused) -> None:
    for values in ({"placement.depth": 0}, {"placement.position": "q"}):
        assert "placement has no effect on linear_probe" in refused(change(values, peft="linear_probe"))
    cells = {"placement.cells": {"0.q": {}}}
    assert "placement has no effect" in refused(change(cells, peft="linear_probe", placement="cells"))


@pytest.mark.parametrize("placement", ["supernet", "noah"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["peft=prefix"],
            r"placement=PLACED needs parts of elastic width \(.*\), and peft has none; legal: peft=noah",
        ),
        (["peft=mam"], r"placement=PLACED needs parts of elastic width \(.*\), and prefix has none"),
        (["peft=bitfit"], r"placement=PLACED needs parts of elastic width"),
        (
            ["peft=lora"],
            r"placement\.widths=\[1, 5, 10\] ends at 10, and peft\.rank=8; legal: the same number",
        ),
        (
            ["peft=noah", "peft.cuts.width=100"],
            r"placement\.widths=\[1, 5, 10\] ends at 10, and peft\.parts\.prompt\.num_tokens=100; legal: the same number",
        ),
        (["peft=noah", "placement.widths=[10,5]"], r"placement\.widths=\[10, 5\] is not legal"),
        (
            ["peft=noah", "scaling.rule=over_rank"],
            r"scaling\.rule=over_rank depends on a width that placement=PLACED changes",
        ),
        (
            ["peft=noah", "placement.budget=3k"],
            r"placement\.budget=3k cannot solve the widths of placement=PLACED",
        ),
    ],
)
def test_what_does_not_go_with_it_is_refused_without_a_model(
    placement: str, words: list[str], sentence: str
) -> None:
    with pytest.raises(UserError, match="^" + sentence.replace("PLACED", placement)):
        resolve(composed("backbone=tiny", f"placement={placement}", *words))


@pytest.mark.parametrize("placement", ["supernet", "noah"])
@pytest.mark.parametrize("words", [["peft=noah"], ["peft=lora", "peft.rank=10"], ["peft=vpt_deep"]])
def test_elastic_methods_pass(placement: str, words: list[str]) -> None:
    resolve(composed("backbone=tiny", f"placement={placement}", *words))


LORA = Widths("peft", "lora", "rank", 8, True, False)
BITFIT = Widths("peft", "bitfit", None, None, False, True)
MASK = Widths("peft", "mask_fisher", "keep_ratio", 0.1, False, True)


def test_methods_that_a_budget_cannot_change() -> None:
    with pytest.raises(
        UserError, match=r"^placement\.budget=1k has nothing to solve for: bitfit has no rank, "
    ):
        check_budget("1k", {"peft": BITFIT})
    with pytest.raises(
        UserError, match=r"^placement\.budget=1k cannot be shared .* that b selects; legal: null"
    ):
        check_budget("1k", {"a": LORA, "b": MASK})
    check_budget("1k", {"peft": MASK})
    check_budget("1k", {"a": LORA, "b": LORA._replace(key=None, width=None)})


@pytest.mark.parametrize(
    ("peft", "words"),
    [
        (
            "bitfit",
            "placement.budget=1k has nothing to solve for: bitfit has no rank, bottleneck, length, num_tokens",
        ),
        ("ssf", "placement.budget=1k has nothing to solve for: ssf has no rank"),
        ("linear_probe", "placement.budget=1k has nothing to solve for: linear_probe has no rank"),
    ],
)
def test_a_budget_is_judged_before_there_is_a_network(
    change: Change, refused: Refused, peft: str, words: str
) -> None:
    assert refused(change({"placement.budget": "1k"}, peft=peft)).startswith(words)


def test_a_budget_of_a_mask_or_of_a_hybrid_passes(change: Change) -> None:
    for peft in ("mask_heads", "lora", "mam"):
        assert resolve(change({"placement.budget": "1k"}, peft=peft)).budget == 1000


def test_other_placements_are_not_asked(change: Change) -> None:
    """A grid may hold parts of any width, whatever the rule."""
    check_supernet(choice(change()["placement"]), 5, "over_rank", {"peft": BITFIT})


def test_a_method_without_sites_is_placed_by_the_whole_grid_alone(change: Change) -> None:
    check_no_sites(choice(change()["placement"]), "linear_probe")
    with pytest.raises(
        UserError, match=r"^placement has no effect on linear_probe, which has no sites; legal: "
    ):
        check_no_sites(choice(change({"placement.depth": "0-2"})["placement"]), "linear_probe")
