"""The schema read from the source is the one that Python itself reads."""

import ast
import dataclasses
import inspect
from importlib import import_module
from typing import Any

import pytest
from fixtures.configs import composed
from hypothesis import given
from hypothesis import strategies as st

from peftlab.config.directory import config_dir
from peftlab.config.resolve import parts_of
from peftlab.config.signature import misfit, signature

MODULE = "peftlab.config.signature"
TARGETS = (
    "peftlab.peft.lora.Lora",
    "peftlab.peft.adapter.Adapter",
    "peftlab.peft.bitfit.Bitfit",
    "peftlab.peft.linear_probe.LinearProbe",
    "peftlab.peft.mask.mask_fisher.MaskFisher",
    "peftlab.peft.mask.mask_heads.MaskHeads",
    "peftlab.peft.part.Hybrid",
    "peftlab.peft.part.PartOptions",
    "peftlab.placement.budget.Budget",
    "peftlab.scaling.fixed.fixed",
    "peftlab.scaling.learned.learned",
    "peftlab.scaling.meta.meta",
    "peftlab.scaling.plan.OuterPlan",
    "peftlab.scaling.estimator.direct.direct",
    "peftlab.scaling.estimator.unrolled.unrolled",
    "peftlab.placement.grid.grid",
    "peftlab.placement.from_gamma.from_gamma",
    "peftlab.head.cosine.Cosine",
    "peftlab.fit.plan.Plan",
    "peftlab.config.resolved.Root",
    "peftlab.dataset.image.dataset.image_dataset",
    "peftlab.tracker.none.NoTracker",
    "peftlab.task.classify.Classify",
)
# every form of a delta and every selection that a config can name
FORMS = sorted({
    part.form.target
    for path in (config_dir() / "peft").glob("*.yaml")
    for part in parts_of(composed(f"peft={path.stem}")["peft"])
})  # fmt: skip


def told(value: Any, kind: str, module: str = MODULE) -> str | None:
    return misfit(value, ast.parse(kind, mode="eval").body, module)


@pytest.mark.parametrize("target", TARGETS)
def test_the_keys_are_those_that_inspect_finds(target: str) -> None:
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name)
    if dataclasses.is_dataclass(found):
        expected = [field.name for field in dataclasses.fields(found)]
    else:
        parameters = inspect.signature(
            found.__init__ if inspect.isclass(found) else found
        ).parameters.values()
        expected = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
        assert all(
            p.default is p.empty for p in parameters if p.name in expected
        )  # a default stands in the YAML
    keys = signature(target).keys
    assert list(keys) == expected
    if not dataclasses.is_dataclass(found):
        assert {read_in for _, read_in in keys.values()} <= {module}


@pytest.mark.parametrize("target", FORMS)
def test_ancestors_and_constants_are_those_that_python_has(target: str) -> None:
    """Of the classes of this package; the constants are class attributes that say what they are."""
    module, _, name = target.rpartition(".")
    found = getattr(import_module(module), name)
    own = {cls.__name__ for cls in found.__mro__ if cls.__module__.startswith("peftlab.")}
    read = signature(target)
    assert read.ancestors == own
    assert own & {"Delta", "Selection"}
    for key, value in read.constants.items():
        assert getattr(found, key) == value, key
    assert {"Delta": {"per_token", "is_identity", "is_gate"}, "Selection": set()}[
        "Delta" if "Delta" in own else "Selection"
    ] <= set(read.constants)
    assert read.constants.get("width_key") == found.width_key


@pytest.mark.parametrize("target", FORMS)
def test_the_width_is_an_option_of_the_form(target: str) -> None:
    read = signature(target)
    key = read.constants.get("width_key")
    assert key is None or key in read.keys


def test_an_inherited_field_is_read_where_it_is_written() -> None:
    """MaskFisher's keep_ratio is Mask's: its annotation is an alias of that module."""
    read = signature("peftlab.peft.mask.mask_fisher.MaskFisher")
    base = signature("peftlab.peft.mask.mask.Mask")
    assert {"Mask", "Selection", "MaskFisher"} <= read.ancestors
    assert list(read.keys)[: len(base.keys)] == list(base.keys)
    for key, (kind, module) in base.keys.items():
        assert module == "peftlab.peft.mask.mask"
        assert read.keys[key][1] == module
        assert ast.unparse(read.keys[key][0]) == ast.unparse(kind)


def test_a_class_constant_is_no_key() -> None:
    """`width_key: ClassVar[...]` of a dataclass belongs to the class."""
    for target in ("peftlab.peft.mask.mask.Mask", "peftlab.peft.selection.Selection"):
        assert "width_key" not in signature(target).keys
    assert signature("peftlab.peft.selection.Selection").constants["width_key"] is None
    assert signature("peftlab.peft.mask.mask.Mask").constants["width_key"] == "keep_ratio"


def test_a_function_has_no_ancestors_and_no_constants() -> None:
    read = signature("peftlab.placement.grid.grid")
    assert read.ancestors == frozenset()
    assert read.constants == {}


@pytest.mark.parametrize(
    "target",
    [
        "peftlab.peft.lora.Lorra",
        "peftlab.nosuch.thing",
        "os.system",
        "torch.nn.Linear",
        "Lora",
        "",
        "peftlab",
        "peftlab.peft.Lora",
    ],
)
def test_a_target_that_is_not_in_the_package(target: str) -> None:
    with pytest.raises(LookupError):
        signature(target)


GOOD = [
    (3, "int"),
    (0, "int"),
    (-3, "int"),
    (3, "float"),
    (0.5, "float"),
    ("a", "str"),
    (True, "bool"),
    ({}, "dict"),
    ({"a": 1}, "dict[str, Any]"),
    (None, "int | None"),
    (None, "None"),
    (3, "int | str"),
    ([1, "0-2"], "int | str | list[int | str]"),
    ([], "list[int]"),
    ("a", "Literal['a', 'b']"),
    (1, "PositiveInt"),
    (0, "NonNegativeInt"),
    (1, "PositiveFloat"),
    (1e-9, "PositiveFloat"),
    (0, "NonNegativeFloat"),
    (0, "Fraction"),
    (0, "BelowOne"),
    (4096, "Width"),
    (2, "Annotated[int, Range(1, 2)]"),
    (0, "Annotated[float | int, Range(0, 1, '[)')]"),
    (1, "Fraction"),
    (object(), "Any"),
    ({"_target_": "x"}, "Callable[..., Estimate]"),
    ({"_target_": "x"}, "partial[Any]"),
]
BAD = [
    (True, "int", "a whole number"),
    (1.0, "int", "a whole number"),
    ("1", "int", "a whole number"),
    (None, "int", "a whole number"),
    ([1], "int", "a whole number"),
    (True, "float", "a number"),
    (float("nan"), "float", "a number"),
    (float("inf"), "float", "a number"),
    ("1e-3", "float", "a number"),
    (1, "str", "a word"),
    (None, "str", "a word"),
    (1, "bool", "true or false"),
    ("true", "bool", "true or false"),
    ([], "dict", "a mapping"),
    ("a", "dict[str, Any]", "a mapping"),
    ("x", "int | None", "a whole number or null"),
    (1.5, "int | str", "a whole number or a word"),
    ("a", "list[str]", "a list"),
    ([1, "a"], "list[int]", "a list of a whole number"),
    ([None], "list[int | str]", "a list of a whole number or a word"),
    ("c", "Literal['a', 'b']", "a, b"),
    (None, "Literal['a', 'b']", "a, b"),
    ("c", "Literal['a', 'b'] | None", "a, b or null"),
    (["a"], "Literal['a', 'b']", "a, b"),
    (0, "PositiveInt", "a whole number from 1 to 1000000"),
    (1.0, "PositiveInt", "a whole number from 1 to 1000000"),
    (True, "PositiveInt", "a whole number from 1 to 1000000"),
    (-1, "NonNegativeInt", "a whole number from 0 to 1000000"),
    (0, "PositiveFloat", "a number above 0 and at most 1000000"),
    (float("nan"), "PositiveFloat", "a number above 0 and at most 1000000"),
    (-1e-9, "NonNegativeFloat", "a number from 0 to 1000000"),
    (1.001, "Fraction", "a number from 0 to 1"),
    (-0.1, "Fraction", "a number from 0 to 1"),
    (1, "BelowOne", "a number from 0 to below 1"),
    (0, "Share", "a number above 0 and below 1"),
    (4097, "Width", "a whole number from 1 to 4096"),
    (10**400, "Width", "a whole number from 1 to 4096"),
    (10**400, "Fraction", "a number from 0 to 1"),
    (3, "Annotated[int, Range(1, 2)]", "a whole number from 1 to 2"),
    (1.0, "Annotated[int, Range(1, 2)]", "a whole number from 1 to 2"),
    (0.5, "Annotated[float | int, Range(0, 0.25, '(]')] | None", "a number above 0 and at most 0.25 or null"),
    ("x", "PositiveFloat | None", "a number above 0 and at most 1000000 or null"),
    ("direct", "Callable[..., Estimate]", "a node with _target_"),
    ({"lr": 1}, "partial[Any]", "a node with _target_"),
    (None, "partial[Any]", "a node with _target_"),
]


@pytest.mark.parametrize(("value", "kind"), GOOD)
def test_a_value_that_fits(value: Any, kind: str) -> None:
    assert told(value, kind) is None


@pytest.mark.parametrize(("value", "kind", "legal"), BAD)
def test_a_value_that_does_not_fit_is_told_what_is_legal(value: Any, kind: str, legal: str) -> None:
    assert told(value, kind) == legal


@given(st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=3))
def test_the_numeric_kinds_agree_with_python(value: Any) -> None:
    number = type(value) in (int, float) and float("-inf") < value < float("inf")
    whole = type(value) is int
    assert (told(value, "float") is None) == number
    assert (told(value, "int") is None) == whole
    assert (told(value, "PositiveInt") is None) == (whole and 0 < value <= 1_000_000)
    assert (told(value, "Fraction | None") is None) == (value is None or (number and 0 <= value <= 1))


def test_an_alias_is_followed_here_and_into_the_module_it_comes_from() -> None:
    for module in ("peftlab.scaling.gamma", "peftlab.scaling.meta"):
        assert told("softplus", "Activation", module) is None
        assert told("relu", "Activation", module) == "softplus, identity"
        assert told(None, "Granularity | None", module) is None


@pytest.mark.parametrize("kind", ["Nosuch", "set[int]", "tuple[int, int]"])
def test_an_annotation_that_no_key_can_have_is_the_author_s_mistake(kind: str) -> None:
    with pytest.raises(LookupError, match="is not one that a config key can have"):
        told(1, kind)
