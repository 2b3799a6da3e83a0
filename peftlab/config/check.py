"""Every rule that a config must obey, checked without torch, data or weights."""

from difflib import get_close_matches
from typing import Any

from peftlab.config.signature import misfit, signature
from peftlab.config.timm_name import check_timm_name
from peftlab.errors import UserError
from peftlab.placement.cell import Cells

GROUPS = ("backbone", "peft", "placement", "scaling", "dataset", "head", "loss", "optim", "fit", "tracker")
MARKS = {"_target_", "_partial_"}
PART = "peftlab.peft.part.Part"
ROOT = "peftlab.config.root.Root"


def check(cfg: dict[str, Any]) -> None:
    """`cfg` is the whole resolved config as plain dicts.

    Raises:
        UserError: one sentence for the first key that is unknown, missing, of a wrong kind, or at odds with another.
    """
    _no_words_for_null(cfg, "")
    _keys(ROOT, {key: value for key, value in cfg.items() if key not in GROUPS}, "", extra=GROUPS)
    for group in GROUPS:
        if group not in cfg:
            raise UserError(f"{group} is missing from the config; choose one with {group}=NAME")
        _node(cfg[group], group)
    check_timm_name(cfg["backbone"])
    _part(cfg)
    if cfg["fit"]["warmup_epochs"] >= cfg["fit"]["epochs"]:
        raise UserError(f"fit.warmup_epochs={cfg['fit']['warmup_epochs']} leaves none of fit.epochs={cfg['fit']['epochs']}")
    _outer(cfg)


def _no_words_for_null(node: Any, path: str) -> None:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, str) and value in ("None", "none"):
            if here == "tracker._target_":
                continue
            raise UserError(f"{here}={value} is the word {value}, not an empty value; legal: null")
        if value == "???":
            raise UserError(f"{here} has no value yet; give one with {here}=VALUE")
        _no_words_for_null(value, here)


def _node(node: Any, path: str) -> None:
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(f"{path}={node} is not a choice of the group {path}; choose one with {path}=NAME")
    extra = signature(PART).keys if path == "peft" else {}
    values = {key: value for key, value in node.items() if key not in MARKS}
    if path == "peft":
        _keys(PART, {key: values.pop(key, None) for key in extra}, path)
    _keys(node["_target_"], values, path, extra=tuple(extra))
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
            raise UserError(f"{dot}{key}={value} is not a key of {path or 'the config'}; legal: {', '.join(names)}{hint}")
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
        raise UserError(f"{path}._target_={target} cannot be used: {error}; legal: a function or class of peftlab") from error


def _part(cfg: dict[str, Any]) -> None:
    """The placement resolves to sites, and the method, its placement and its scaling belong together."""
    peft, scaling = cfg["peft"], cfg["scaling"]["_target_"].rsplit(".", 1)[-1]
    name = peft["_target_"].rsplit(".", 1)[-1]
    if peft["insertion"] == "in_place" and scaling != "fixed":
        raise UserError(
            f"scaling={scaling} needs a delta to multiply, and {name} trains the backbone's own weights; legal: scaling=fixed"
        )
    if peft["insertion"] == "in_place" and cfg["scaling"]["value"] is not None:
        raise UserError(f"scaling.value={cfg['scaling']['value']} has nothing to act on: {name} has no delta; legal: null")
    if not peft["positions"]:
        if cfg["placement"].get("depth") != "all" or cfg["placement"].get("position") != "all":
            raise UserError(f"placement has no effect on {name}, which has no sites; legal: depth and position all")
        return
    depth = cfg["backbone"]["depth"]
    if depth is not None:
        check_cells(resolve_placement(cfg, depth), cfg)


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
                raise UserError(f"placement.cells: {site} has the option {key}={value}; legal: {', '.join(names) or 'none'}")
            wrong = misfit(value, legal[key], module) if key in legal else misfit(value, *_scale_kind())
            if wrong is not None:
                raise UserError(f"placement.cells: {site} has {key}={_yaml(value)}; legal: {wrong}")


def _scale_kind() -> tuple[Any, str]:
    return signature(PART).keys["scale"], PART.rpartition(".")[0]


def _outer(cfg: dict[str, Any]) -> None:
    outer = cfg["scaling"].get("outer")
    if outer is not None and not 0 < outer["fraction"] < 1:
        raise UserError(
            f"scaling.outer.fraction={outer['fraction']} leaves no images for {'the outer' if not outer['fraction'] else 'inner'}"
            " steps, and gamma needs both; legal: a number above 0 and below 1, as in 0.2"
        )


def _yaml(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
