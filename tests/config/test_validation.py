"""Whether a config validates on anything, as far as it can be said without data."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.config.validation import has_none


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), True),
        (("dataset.val_fraction=0.2",), False),
        (("fit.select=best",), False),
        (("fit.select=best", "dataset.val_fraction=0"), True),
        (("dataset=cifar100_lt",), True),
        (("dataset=hub", "dataset.source.val_split=validation"), False),
        (("dataset=image_folder",), False),
    ],
)
def test_a_config_without_validation_is_known(
    composed: Callable[..., dict[str, Any]], words: tuple[str, ...], expected: bool
) -> None:
    assert has_none(composed(*words)) is expected


def test_a_config_that_is_wrong_is_not_judged() -> None:
    assert not has_none({})
    assert not has_none({"dataset": {"source": None}, "fit": {}})
