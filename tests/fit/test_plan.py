"""How long a training is, without torch."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.fit.plan import Plan, check_plan

Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]


def test_a_warm_up_that_leaves_nothing(change: Change, refused: Refused) -> None:
    text = refused(change({"fit.warmup_epochs": 10}))
    assert text == "fit.warmup_epochs=10 leaves none of fit.epochs=10; legal: fewer"
    resolve(change({"fit.warmup_epochs": 9.5}))


@pytest.mark.parametrize(("warmup", "epochs"), [(1, 1), (1.5, 1), (3, 2)])
def test_the_rule_itself(base: dict[str, Any], warmup: float, epochs: int) -> None:
    options = {key: value for key, value in base["fit"].items() if key != "_target_"}
    with pytest.raises(UserError, match=rf"^fit\.warmup_epochs={warmup} leaves none of fit\.epochs={epochs}"):
        check_plan(Plan(**{**options, "warmup_epochs": warmup, "epochs": epochs}))
    check_plan(Plan(**{**options, "warmup_epochs": 0, "epochs": epochs}))
