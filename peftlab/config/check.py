"""Every rule that a config must obey, checked without torch, data or weights."""

import ast
from difflib import get_close_matches
from typing import Any

from peftlab.backbone.timm.name import check_timm_name
from peftlab.config.place import MARKS, PART, check_cells, resolve_placement
from peftlab.config.signature import misfit, signature, yaml_text
from peftlab.errors import UserError
from peftlab.peft.part import part_path, parts_of
from peftlab.placement.budget import parse_budget
from peftlab.placement.depth import block_labels
from peftlab.placement.supernet import check_supernet
from peftlab.site import HEADS, LINEAR, NORM, STREAM, SUBLAYER

GROUPS = ("backbone", "peft", "placement", "scaling", "dataset", "head", "loss", "optim", "fit", "tracker")
HYBRID = "peftlab.peft.part.Hybrid"
BUDGET = "peftlab.placement.budget.Budget"
# which positions an insertion can have
INSERTIONS = {
    "parallel": (*LINEAR, *SUBLAYER),
    "sequential": (*LINEAR, *SUBLAYER, *NORM),
    "residual": SUBLAYER,
    "input": LINEAR,
    "heads": HEADS,
    "concat": STREAM,
    "in_place": (*LINEAR, *NORM),
}
ROOT = "peftlab.config.root.Root"


def check(cfg: dict[str, Any]) -> None:
    """`cfg` is the whole resolved config as plain dicts.

    Raises:
        UserError: one sentence for the first key that is unknown, missing, of a wrong kind, or at odds with another.
    """
    _keys(ROOT, {key: value for key, value in cfg.items() if key not in GROUPS}, "", extra=GROUPS)
    for group in GROUPS:
        if group not in cfg:
            raise UserError(f"{group} is missing from the config; choose one with {group}=NAME")
        _node(cfg[group], group)
    check_timm_name(cfg["backbone"])
    _parts(cfg)
    if cfg["fit"]["warmup_epochs"] >= cfg["fit"]["epochs"]:
        given = f"fit.warmup_epochs={cfg['fit']['warmup_epochs']}"
        raise UserError(f"{given} leaves none of fit.epochs={cfg['fit']['epochs']}; legal: fewer")
    _gamma(cfg["scaling"])


def _is_a_value(value: Any, path: str) -> None:
    """`None` is a word in YAML, and `???` means that a value has to be given; also inside lists and mappings."""
    if value == "???":
        raise UserError(f"{path} has no value yet; give one with {path}=VALUE")
    if value in ("None", "none"):
        raise UserError(f"{path}={value} is the word {value}, not an empty value, which is written null")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _is_a_value(item, f"{path}.{key}")


def _node(node: Any, path: str) -> None:
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(f"{path}={node} is not a choice of the group {path}; choose one with {path}=NAME")
    is_part = (path == "peft" or path.startswith("peft.parts.")) and node["_target_"] != HYBRID
    more = PART if is_part else BUDGET if path == "placement" else None
    extra = signature(more).keys if more else {}
    values = {key: value for key, value in node.items() if key not in MARKS}
    if more:
        _keys(more, {key: values.pop(key, None) for key in extra}, path)
    _keys(str(node["_target_"]), values, path, extra=tuple(extra))
    if node["_target_"] == HYBRID:
        _hybrid(node, path)
        return
    for key, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            _node(value, f"{path}.{key}")


def _keys(target: str, values: dict[str, Any], path: str, extra: tuple[str, ...] = ()) -> None:
    module, legal = _signature(target, path)
    dot = f"{path}." if path else ""
    for key, value in values.items():
        if key not in legal:
            names = sorted([*legal, *extra])
            near = get_close_matches(key, names, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise UserError(
                f"{dot}{key}={value} is not a key of {path or 'the config'}; legal: {', '.join(names)}{hint}"
            )
        if not ("Literal" in ast.unparse(legal[key]) and misfit(value, legal[key], module) is None):
            _is_a_value(value, f"{dot}{key}")
        wrong = misfit(value, legal[key], module)
        if wrong is not None:
            raise UserError(f"{dot}{key}={yaml_text(value)} is not legal; legal: {wrong}")
    missing = [key for key in legal if key not in values]
    if missing:
        raise UserError(f"{dot}{missing[0]} is missing; give it a value with {dot}{missing[0]}=VALUE")


def _signature(target: str, path: str) -> tuple[str, dict[str, Any]]:
    try:
        return signature(target)
    except LookupError as error:
        raise UserError(
            f"{path}._target_={target} cannot be used: {error}; legal: a function or class of peftlab"
        ) from error


def _hybrid(node: dict[str, Any], path: str) -> None:
    """Every part is a choice of the group peft, written out."""
    if path != "peft" or not node["parts"]:
        raise UserError(
            f"{path}.parts={node['parts']} is no sum of parts; legal: at least one, each with _target_"
        )
    for name, part in node["parts"].items():
        _node(part, f"{path}.parts.{name}")


def _parts(cfg: dict[str, Any]) -> None:
    """The placement resolves to sites, and every part of the method, its placement and its scaling belong together."""
    parts = parts_of(cfg["peft"])
    for key, part in parts.items():
        _insertion(part, _name(part), part_path(cfg["peft"], key))
    parse_budget(cfg["placement"].get("budget"), parts)
    check_supernet(cfg, parts)
    scaled = [part for part in parts.values() if part.get("scale") is not None]
    if not scaled:
        _no_delta(cfg, _name(next(iter(parts.values()))))
    if not any(part["positions"] for part in parts.values()):
        placed = {key: cfg["placement"].get(key, "all") for key in ("depth", "position")}
        if any(value != "all" for value in placed.values()) or not cfg["placement"]["_target_"].endswith(
            ".grid"
        ):
            raise UserError(
                f"placement has no effect on {_name(next(iter(parts.values())))}, which has no sites; legal: depth and position all"
            )
        return
    depth = cfg["backbone"]["depth"]
    placed = resolve_placement(cfg, block_labels(depth), is_known=depth is not None)
    check_cells(placed, cfg)


def _name(part: dict[str, Any]) -> str:
    return str(part["_target_"]).rsplit(".", 1)[-1]


def _insertion(part: dict[str, Any], name: str, path: str) -> None:
    """What a peft YAML says of the method itself: its positions, where it reads and writes, its scale."""
    insertion = part["insertion"]
    has_delta = name[:1].isupper()  # a class is the form of a delta, a function selects weights
    if has_delta == (insertion == "in_place"):
        legal = ", ".join(word for word in INSERTIONS if word != "in_place") if has_delta else "in_place"
        raise UserError(f"{path}.insertion={insertion} does not go with {name}; legal: {legal}")
    places = INSERTIONS[insertion]
    if not set(part["positions"]) <= set(places) or (has_delta and not part["positions"]):
        given = ", ".join(part["positions"])
        raise UserError(
            f"{path}.positions=[{given}] does not go with {insertion}; legal: some of {', '.join(places)}"
        )
    if not has_delta and part.get("scale") is not None:
        raise UserError(
            f"{path}.scale={part['scale']} does not go with {name}, which has no delta; legal: null"
        )


def _no_delta(cfg: dict[str, Any], name: str) -> None:
    scaling = cfg["scaling"]["_target_"].rsplit(".", 1)[-1]
    if scaling != "fixed":
        why = "stands outside scaling (scale: null)" if name[:1].isupper() else "has none"
        raise UserError(
            f"scaling={scaling} needs a delta to multiply, and {name} {why}; legal: scaling=fixed"
        )
    for key, legal in (("value", None), ("rule", "plain")):
        if cfg["scaling"][key] != legal:
            given = f"scaling.{key}={cfg['scaling'][key]}"
            raise UserError(f"{given} has nothing to act on: {name} has no delta; legal: {yaml_text(legal)}")


def _gamma(scaling: dict[str, Any]) -> None:
    """A gamma that is trained has a start that softplus can reach, and images on both sides of the outer split."""
    if scaling.get("activation") == "softplus" and not scaling["init_raw"] and scaling["init"] <= 0:
        raise UserError(
            f"scaling.init={scaling['init']} cannot be reached by softplus; legal: a number above 0"
        )
    outer = scaling.get("outer")
    if outer is not None and not 0 < outer["fraction"] < 1:
        raise UserError(
            f"scaling.outer.fraction={outer['fraction']} leaves no images for {'the outer' if not outer['fraction'] else 'inner'}"
            " steps, and gamma needs both; legal: a number above 0 and below 1, as in 0.2"
        )
