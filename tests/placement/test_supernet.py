"""The whole search space as a placement, and what it asks of the rest of the config."""

import pytest

from peftlab.config.check import check
from peftlab.errors import UserError
from peftlab.placement.supernet import supernet
from peftlab.site import Site

SITES = [Site(0, "q"), Site(0, "ffn"), Site(1, "q")]


def test_all_candidates_are_placed_as_the_method_has_them():
    assert supernet(SITES, widths=[1, 5], depths=[0.5, 1.0]) == {site: {} for site in SITES}


@pytest.mark.parametrize(
    ("widths", "depths", "sentence"),
    [
        ([], [1.0], r"placement\.widths=\[\] is not legal; legal: at least one number, ascending, above 0"),
        ([5, 1], [1.0], r"placement\.widths=\[5, 1\] is not legal"),
        ([1, 1], [1.0], r"placement\.widths=\[1, 1\] is not legal"),
        ([1], [0.0, 1.0], r"placement\.depths=\[0\.0, 1\.0\] is not legal"),
        ([1], [1.0, 0.5], r"placement\.depths=\[1\.0, 0\.5\] is not legal"),
    ],
)
def test_choices_ascend_from_above_zero(widths, depths, sentence):
    with pytest.raises(UserError, match=f"^{sentence}"):
        supernet(SITES, widths=widths, depths=depths)


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
def test_what_does_not_go_with_it_is_refused_without_a_model(composed, placement, words, sentence):
    with pytest.raises(UserError, match="^" + sentence.replace("PLACED", placement)):
        check(composed("backbone=tiny", f"placement={placement}", *words))


@pytest.mark.parametrize("placement", ["supernet", "noah"])
@pytest.mark.parametrize("words", [["peft=noah"], ["peft=lora", "peft.rank=10"], ["peft=vpt_deep"]])
def test_elastic_methods_pass(composed, placement, words):
    check(composed("backbone=tiny", f"placement={placement}", *words))
