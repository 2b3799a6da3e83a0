"""Every rule that a config must obey, checked without torch, data or weights."""

import ast
from difflib import get_close_matches
from typing import Any

from peftlab.config.signature import misfit, signature
from peftlab.config.timm_name import check_timm_name
from peftlab.errors import UserError
from peftlab.placement.cell import Cells
from peftlab.site import LINEAR, NORM, SUBLAYER

GROUPS = ("backbone", "peft", "placement", "scaling", "dataset", "head", "loss", "optim", "fit", "tracker")
MARKS = {"_target_", "_partial_"}
UNKNOWN_DEPTH = 1000  # of a backbone that has not said its own: any block may exist until the model is built
PART = "peftlab.peft.part.Part"
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
    _part(cfg)
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
    extra = signature(PART).keys if path == "peft" else {}
    values = {key: value for key, value in node.items() if key not in MARKS}
    if path == "peft":
        _keys(PART, {key: values.pop(key, None) for key in extra}, path)
    _keys(str(node["_target_"]), values, path, extra=tuple(extra))
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
            raise UserError(f"{dot}{key}={_yaml(value)} is not legal; legal: {wrong}")
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


def _part(cfg: dict[str, Any]) -> None:
    """The placement resolves to sites, and the method, its placement and its scaling belong together."""
    peft, name = cfg["peft"], cfg["peft"]["_target_"].rsplit(".", 1)[-1]
    _insertion(peft, name)
    if peft["insertion"] == "in_place":
        _no_delta(cfg, name)
    if not peft["positions"]:
        if cfg["placement"].get("depth") != "all" or cfg["placement"].get("position") != "all":
            raise UserError(
                f"placement has no effect on {name}, which has no sites; legal: depth and position all"
            )
        return
    depth = cfg["backbone"]["depth"]
    check_cells(resolve_placement(cfg, UNKNOWN_DEPTH if depth is None else depth), cfg)


def _insertion(peft: dict[str, Any], name: str) -> None:
    """What a peft YAML says of the method itself: its positions, where it reads and writes, its scale."""
    insertion, scale = peft["insertion"], peft.get("scale")
    has_delta = name[:1].isupper()  # a class is the form of a delta, a function selects weights
    if has_delta == (insertion == "in_place"):
        legal = "parallel, sequential, residual" if has_delta else "in_place"
        raise UserError(f"peft.insertion={insertion} does not go with {name}; legal: {legal}")
    places = SUBLAYER if insertion == "residual" else (*LINEAR, *SUBLAYER) if has_delta else (*LINEAR, *NORM)
    if not set(peft["positions"]) <= set(places) or (has_delta and not peft["positions"]):
        given = ", ".join(peft["positions"])
        raise UserError(
            f"peft.positions=[{given}] does not go with {insertion}; legal: some of {', '.join(places)}"
        )
    if has_delta == (scale is None):
        legal = "a number above 0" if has_delta else "null"
        raise UserError(f"peft.scale={_yaml(scale)} does not go with {name}; legal: {legal}")


def _no_delta(cfg: dict[str, Any], name: str) -> None:
    scaling = cfg["scaling"]["_target_"].rsplit(".", 1)[-1]
    if scaling != "fixed":
        raise UserError(
            f"scaling={scaling} needs a delta to multiply, and {name} has none; legal: scaling=fixed"
        )
    for key, legal in (("value", None), ("rule", "plain")):
        if cfg["scaling"][key] != legal:
            given = f"scaling.{key}={cfg['scaling'][key]}"
            raise UserError(f"{given} has nothing to act on: {name} has no delta; legal: {_yaml(legal)}")


def resolve_placement(cfg: dict[str, Any], num_blocks: int) -> Cells:
    """The cells of cfg["placement"] on a backbone of `num_blocks` blocks, without importing torch."""
    from importlib import import_module

    node = {key: value for key, value in cfg["placement"].items() if key not in MARKS}
    module, _, name = cfg["placement"]["_target_"].rpartition(".")
    function = getattr(import_module(module), name)
    cells: Cells = function(num_blocks, cfg["peft"]["positions"], **node) if cfg["peft"]["positions"] else {}
    return cells


def check_cells(cells: Cells, cfg: dict[str, Any]) -> None:
    """Options of single sites must be options of the method, or `scale`.

    Raises:
        UserError: naming the site, the option and the legal ones.
    """
    module, legal = signature(cfg["peft"]["_target_"])
    additive = cfg["peft"]["insertion"] != "in_place"
    names = [*legal, "scale"] if additive else []
    for site, options in cells.items():
        for key, value in options.items():
            if key not in names:
                raise UserError(
                    f"placement.cells: {site} has the option {key}={value}; legal: {', '.join(names) or 'none'}"
                )
            kind, where = (legal[key], module) if key in legal else _scale_kind()
            wrong = "a number above 0" if key == "scale" and value is None else misfit(value, kind, where)
            if wrong is not None:
                raise UserError(f"placement.cells: {site} has {key}={_yaml(value)}; legal: {wrong}")


def _scale_kind() -> tuple[Any, str]:
    return signature(PART).keys["scale"], PART.rpartition(".")[0]


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


def _yaml(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
