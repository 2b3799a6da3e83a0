"""What a config changes of the input that a backbone expects."""

from dataclasses import replace
from typing import Any

import pytest

from peftlab.dataset.image.input import INTERPOLATIONS, crop_area, used_spec
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec


def used(spec: InputSpec, **changes: Any) -> InputSpec:
    given: dict[str, Any] = {
        "interpolation": None,
        "mean": None,
        "std": None,
        "standardise": False,
        **changes,
    }
    return used_spec(spec, **given)


def test_null_is_the_backbone_s_own(spec: InputSpec) -> None:
    assert used(spec) == spec
    assert used(spec, standardise=True) == spec


def test_what_is_given_takes_its_place_and_nothing_else_changes(spec: InputSpec) -> None:
    mean, std = [0.1, 0.2, 0.3], [1.0, 2.0, 3.0]
    assert used(spec, mean=mean) == replace(spec, mean=(0.1, 0.2, 0.3))
    assert used(spec, std=std) == replace(spec, std=(1.0, 2.0, 3.0))
    for interpolation in INTERPOLATIONS:
        assert used(spec, interpolation=interpolation) == replace(spec, interpolation=interpolation)


def test_an_interpolation_of_the_backbone_that_tensors_do_not_have_can_be_replaced(spec: InputSpec) -> None:
    own = replace(spec, interpolation="lanczos")
    with pytest.raises(
        UserError, match=r"^dataset\.interpolation=lanczos is not offered; legal: nearest, bilinear"
    ):
        used(own)
    assert used(own, interpolation="bicubic").interpolation == "bicubic"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": [0.5]}, r"mean=\[0\.5\] is not one number a channel; legal: three"),
        ({"std": [0.5, 0.5]}, r"std=\[0\.5, 0\.5\] is not one number a channel"),
        ({"std": [0.5, 0.0, 0.5]}, r"std=\[0\.5, 0\.0, 0\.5\] is not one number a channel"),
        (
            {"mean": [0.5] * 3, "standardise": True},
            r"mean=.* have no effect with dataset\.standardise; legal: null",
        ),
        ({"std": [0.5] * 3, "standardise": True}, r"mean=None, dataset\.std=.* have no effect"),
    ],
)
def test_wrong_values(spec: InputSpec, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.{words}"):
        used(spec, **changes)


def test_a_range_of_areas() -> None:
    assert crop_area([0.25, 1.0]) == (0.25, 1.0)
    assert crop_area([1.0, 1.0]) == (1.0, 1.0)
    for wrong in ([], [0.5], [0.0, 1.0], [0.9, 0.5], [0.5, 1.1], [0.1, 0.2, 0.3]):
        with pytest.raises(
            UserError, match=r"^dataset\.crop_scale=.* is no range of areas; legal: \[lower, upper\]"
        ):
            crop_area(wrong)
