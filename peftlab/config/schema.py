"""The shape of a config: every key is known, given, and of its kind. Checked without torch."""

import ast
from typing import Any

from peftlab.config.directory import names_of
from peftlab.config.registry import HYBRID, TARGET, check_targets
from peftlab.config.sentence import hint
from peftlab.config.signature import Signature, alternatives, misfit, signature, values_of, yaml_text
from peftlab.errors import UserError

GROUPS = (
    "backbone",
    "peft",
    "placement",
    "scaling",
    "dataset",
    "task",
    "head",
    "loss",
    "optim",
    "fit",
    "tracker",
)
PART = "peftlab.peft.part.PartOptions"
BUDGET = "peftlab.placement.budget.Budget"
ROOT = "peftlab.config.resolved.Root"


def check_schema(config: dict[str, Any]) -> None:
    """`config` is the whole resolved config as plain dicts.

    Raises:
        UserError: one sentence for the first key that is unknown, missing, or of a wrong kind.
    """
    _keys(ROOT, {key: value for key, value in config.items() if key not in GROUPS}, "", extra=GROUPS)
    check_targets(config, config["trust"])
    for group in GROUPS:
        if group not in config:
            raise UserError(f"{group} is missing from the config; legal: {group}=NAME, of {_names(group)}")
        _node(config[group], group)


def _is_a_value(value: Any, path: str) -> None:
    """`None` is a word in YAML, and `???` means that a value has to be given; also inside lists and mappings."""
    if value == "???":
        raise UserError(f"{path} has no value yet; legal: {path}=VALUE")
    if value in ("None", "none"):
        raise UserError(f"{path}={value} is the word {value}, not an empty value; legal: null")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _is_a_value(item, f"{path}.{key}")


def _node(node: Any, path: str) -> None:
    if not isinstance(node, dict) or TARGET not in node:
        raise UserError(
            f"{path}={yaml_text(node)} is not a choice of the group {path}; legal: {path}=NAME, of {_names(path)}"
        )
    is_part = (path == "peft" or path.startswith("peft.parts.")) and node[TARGET] != HYBRID
    more = PART if is_part else BUDGET if path == "placement" else None
    extra = signature(more).keys if more else {}
    values = {key: value for key, value in node.items() if key != TARGET}
    if more:
        _keys(more, {key: values.pop(key, None) for key in extra}, path)
    _keys(str(node[TARGET]), values, path, extra=tuple(extra))
    if node[TARGET] == HYBRID:
        _hybrid(node, path)
        return
    for key, value in node.items():
        if isinstance(value, dict) and TARGET in value:
            _node(value, f"{path}.{key}")


def _names(path: str) -> str:
    """The choices of a group; of a part they are those of its method."""
    return ", ".join(names_of("peft" if path.startswith("peft.parts.") else path.replace(".", "/")))


def _keys(target: str, values: dict[str, Any], path: str, extra: tuple[str, ...] = ()) -> None:
    found = _signature(target, path)
    dot = f"{path}." if path else ""
    for key, value in values.items():
        if key not in found.keys:
            names = sorted([*found.keys, *extra])
            raise UserError(
                f"{dot}{key}={value} is not a key of {path or 'the config'}; legal: {', '.join(names)}{hint(key, names)}"
            )
    for key, value in values.items():
        _value(value, *found.keys[key], f"{dot}{key}")
    missing = [key for key in found.keys if key not in values]
    if missing:
        legal = misfit(..., *found.keys[missing[0]])
        raise UserError(f"{dot}{missing[0]} is missing; legal: {dot}{missing[0]}=VALUE, with {legal}")


def _value(value: Any, kind: ast.expr, module: str, path: str) -> None:
    wrong = misfit(value, kind, module)
    if wrong is not None and value != "???":
        raise UserError(f"{path}={yaml_text(value)} is not legal; legal: {wrong}")
    for one, home in alternatives(kind, module):
        inner = values_of(one)
        if inner is not None and isinstance(value, dict):
            for key, item in value.items():
                _value(item, inner, home, f"{path}.{key}")
    if "Literal" not in ast.unparse(kind):
        _is_a_value(value, path)


def _signature(target: str, path: str) -> Signature:
    try:
        return signature(target)
    except LookupError as error:
        raise UserError(
            f"{path}.{TARGET}={target} cannot be used: {error}; legal: a function or class that exists"
        ) from error


def _hybrid(node: dict[str, Any], path: str) -> None:
    """Every part is a choice of the group peft, written out."""
    if path != "peft" or not node["parts"]:
        raise UserError(
            f"{path}.parts={node['parts']} is no sum of parts; legal: at least one, each with _target_"
        )
    for name, part in node["parts"].items():
        _node(part, f"{path}.parts.{name}")
