"""What a part of a method must obey: insertion, positions and scale go with its form."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.config.directory import config_dir
from peftlab.config.resolve import parts_of, resolve
from peftlab.errors import UserError
from peftlab.peft.part import INSERTIONS
from peftlab.peft.rules import check_part

Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]
Matches = Callable[[str, str], bool]

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"peft.insertion": "in_place"}, "peft.insertion=in_place does not go with lora; legal: parallel, "),
    (
        {"peft.insertion": "residual"},
        "peft.positions=[q, k, .*] does not go with residual; legal: some of attn, ffn",
    ),
    (
        {"peft.positions": ["q", "project"]},
        "peft.positions=[q, project] does not go with parallel; legal: some of q, ",
    ),
    ({"peft.positions": []}, "peft.positions=[] does not go with parallel; legal: some of q, "),
]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values)[:60] for values, _ in WRONG])
def test_a_wrong_value_is_one_sentence(
    change: Change, refused: Refused, matches: Matches, values: dict[str, Any], words: str
) -> None:
    text = refused(change(values))
    assert matches(text, words), text


@pytest.mark.parametrize("peft", ["bitfit", "full", "linear_probe"])
def test_a_scale_or_another_insertion_with_a_method_that_has_no_delta(
    change: Change, refused: Refused, peft: str
) -> None:
    resolve(change(peft=peft))
    assert (
        refused(change({"peft.scale": 2.0}, peft=peft))
        == f"peft.scale=2.0 does not go with {peft}, which has no delta; legal: null"
    )
    text = refused(change({"peft.insertion": "parallel"}, peft=peft))
    assert text == f"peft.insertion=parallel does not go with {peft}; legal: in_place"


def test_a_part_of_a_hybrid_is_named_by_its_path(recipe: Change) -> None:
    node = recipe("hlpt")["peft"]
    node["parts"]["prefix"]["insertion"] = "in_place"
    lora, prefix = parts_of(node)
    check_part(lora)
    with pytest.raises(
        UserError, match=r"^peft\.parts\.prefix\.insertion=in_place does not go with prefix; legal: "
    ):
        check_part(prefix)


@pytest.mark.parametrize("name", sorted(path.stem for path in (config_dir() / "peft").glob("*.yaml")))
def test_every_method_obeys(recipe: Change, name: str) -> None:
    for part in parts_of(recipe(name)["peft"]):
        check_part(part)
        assert set(part.positions) <= set(INSERTIONS[part.insertion])
        assert part.is_selection == (part.insertion == "in_place")


@pytest.mark.parametrize("rule", ["over_rank", "over_sqrt_rank"])
@pytest.mark.parametrize("scaling", ["fixed", "learned", "meta", "gated"])
def test_dylora_divides_by_its_rank_itself(change: Change, refused: Refused, rule: str, scaling: str) -> None:
    text = refused(change({"scaling.rule": rule}, peft="dylora", scaling=scaling))
    assert text == (
        f"scaling.rule={rule} divides by the largest width, and dylora divides by the width of each step itself, so it would"
        " be divided twice; legal: plain, which is alpha / b"
    )


@pytest.mark.parametrize("peft", ["ssf", "ia3"])
def test_a_rule_without_a_width_is_refused(change: Change, refused: Refused, peft: str) -> None:
    text = refused(change({"scaling.rule": "over_rank"}, peft=peft))
    assert text == (
        f"scaling.rule=over_rank divides by a width, and {peft} has none, so the rule would do nothing; legal: plain"
    )


@pytest.mark.parametrize(
    "peft", ["lora", "dora", "vera", "prefix", "vpt_deep", "adaptformer", "mam", "gated_prompt"]
)
def test_a_rule_where_some_part_has_a_width(change: Change, peft: str) -> None:
    resolve(change({"scaling.rule": "over_rank"}, peft=peft))


def test_a_dylora_is_tested_at_a_rank_that_it_has(change: Change, refused: Refused) -> None:
    assert (
        refused(change({"peft.eval_rank": 9}, peft="dylora"))
        == "peft.eval_rank=9 is not a rank of dylora; legal: 1 to 8, or null"
    )
    resolve(change({"peft.eval_rank": 8}, peft="dylora"))
