"""What scaling asks of the rest of a config."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.config.resolve import choice, resolve
from peftlab.errors import UserError
from peftlab.scaling.rules import check_unscaled

Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]


def test_a_start_at_or_below_zero_is_legal_where_softplus_is_not_in_the_way(change: Change) -> None:
    resolve(change({"scaling.init": 0, "scaling.init_raw": True}, scaling="meta"))
    resolve(change({"scaling.init": 0, "scaling.activation": "identity"}, scaling="learned"))


@pytest.mark.parametrize("init", [0, -1.0])
@pytest.mark.parametrize("scaling", ["learned", "meta"])
def test_a_start_that_softplus_cannot_reach(
    change: Change, refused: Refused, scaling: str, init: float
) -> None:
    text = refused(change({"scaling.init": init}, scaling=scaling))
    assert text == f"scaling.init={init} cannot be reached by softplus; legal: a number above 0"


@pytest.mark.parametrize("peft", ["bitfit", "full", "linear_probe"])
@pytest.mark.parametrize("scaling", ["meta", "learned"])
def test_gamma_with_a_method_that_has_no_delta(
    change: Change, refused: Refused, peft: str, scaling: str
) -> None:
    text = refused(change(peft=peft, scaling=scaling))
    assert text == f"scaling={scaling} needs a delta to multiply, and {peft} has none; legal: scaling=fixed"


@pytest.mark.parametrize("peft", ["bitfit", "full", "linear_probe"])
def test_a_value_or_a_rule_with_a_method_that_has_no_delta(
    change: Change, refused: Refused, peft: str
) -> None:
    resolve(change(peft=peft))
    assert refused(change({"scaling.value": 2.0}, peft=peft)).startswith(
        "scaling.value=2.0 has nothing to act on"
    )
    assert refused(change({"scaling.rule": "over_rank"}, peft=peft)).endswith("legal: plain")


def test_a_method_whose_delta_stands_outside_scaling(change: Change, refused: Refused) -> None:
    text = refused(change({"peft.scale": None}, scaling="learned"))
    assert text == (
        "scaling=learned needs a delta to multiply, and lora stands outside scaling (scale: null); legal: scaling=fixed"
    )
    resolve(change({"peft.scale": None}))
    with pytest.raises(UserError, match=r"^scaling=meta needs a delta to multiply, and x has none"):
        check_unscaled(choice(change(scaling="meta")["scaling"]), "x", has_delta=False)
