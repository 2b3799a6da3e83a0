"""From the config's placement to the sites of every part of the method."""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from peftlab.config.signature import misfit, signature, yaml_text
from peftlab.errors import UserError
from peftlab.peft.part import KEYS, part_path, parts_of
from peftlab.placement.cell import Cells
from peftlab.placement.depth import parse_depth
from peftlab.site import POSITIONS, Site, site_order

MARKS = {"_target_", "_partial_"}
PART = "peftlab.peft.part.Part"
BUDGET = "peftlab.placement.budget.Budget"
Placed = dict[str, Cells]  # the cells of every part, by its name


def resolve_placement(
    cfg: dict[str, Any],
    labels: Sequence[str],
    positions: Sequence[str] = POSITIONS,
    measure: Any = None,
    *,
    is_known: bool = True,
) -> Placed:
    """The cells of cfg["placement"] in every part of the method, without importing torch.

    labels: the blocks from the bottom. positions: those that the backbone has. measure: what selectors look at (None
    before there is a model: they then name all candidates). is_known: whether the labels are the backbone's own.

    Raises:
        UserError: for a site that no part can take, that two deltas claim, or if none is left.
    """
    parts = parts_of(cfg["peft"])
    domains = {
        name: _domain(part, labels, positions, part_path(cfg["peft"], name)) for name, part in parts.items()
    }
    legal = [name for name in POSITIONS if any(name in part["positions"] for part in parts.values())]
    legal = [name for name in legal if name in positions]
    if not any(part["positions"] for part in parts.values()):
        return {name: {} for name in parts}
    aside = {*MARKS, *signature(BUDGET).keys}
    node = {key: value for key, value in cfg["placement"].items() if key not in aside}
    function = placement_function(cfg)
    known = {
        "labels": labels,
        "legal": legal,
        "candidates": sorted({site for sites in domains.values() for site in sites}, key=site_order),
        "measure": measure,
    }
    asked = [known[word] for word in inspect.signature(function).parameters if word in known]
    cells: Cells = function(*asked, **node)
    placed = {
        name: {site: options for site, options in cells.items() if site in sites}
        for name, sites in domains.items()
    }
    if is_known:
        _check_domains(cells, placed, parts, function.__name__)
    return placed


def placement_function(cfg: dict[str, Any]) -> Callable[..., Cells]:
    """What cfg["placement"] names; it looks at training images if it has a parameter `measure`."""
    module, _, name = cfg["placement"]["_target_"].rpartition(".")
    function: Callable[..., Cells] = getattr(import_module(module), name)
    return function


def check_cells(placed: Placed, cfg: dict[str, Any]) -> None:
    """Options of single sites must be options of the method, or `scale`.

    Raises:
        UserError: naming the site, the option and the legal ones.
    """
    parts = parts_of(cfg["peft"])
    for name, cells in placed.items():
        module, legal = signature(parts[name]["_target_"])
        names = [*legal, *(["scale"] if parts[name].get("scale") is not None else [])]
        names = [] if parts[name]["insertion"] == "in_place" else names
        for site, options in cells.items():
            for key, value in options.items():
                if key not in names:
                    raise UserError(
                        f"placement.cells: {site} has the option {key}={value}; legal: {', '.join(names) or 'none'}"
                    )
                kind, where = (legal[key], module) if key in legal else _scale_kind()
                wrong = "a number above 0" if key == "scale" and value is None else misfit(value, kind, where)
                if wrong is not None:
                    raise UserError(f"placement.cells: {site} has {key}={yaml_text(value)}; legal: {wrong}")


def options_of(part: dict[str, Any]) -> dict[str, Any]:
    """What a part's own form takes: the node without what every part says."""
    return {key: value for key, value in part.items() if key not in KEYS}


def _domain(part: dict[str, Any], labels: Sequence[str], positions: Sequence[str], path: str) -> set[Site]:
    if not part["positions"]:
        return set()
    blocks = parse_depth(part["depth"], labels, key=f"{path}.depth")
    return {Site(block, name) for block in blocks for name in part["positions"] if name in positions}


def _check_domains(cells: Cells, placed: Placed, parts: dict[str, Any], placement: str) -> None:
    owner: dict[Site, str] = {}
    for name, own in placed.items():
        for site in own if parts[name]["insertion"] != "in_place" else ():
            if site in owner:
                raise UserError(
                    f"peft.parts.{name} and peft.parts.{owner[site]} both have a delta at {site}; a site has one gamma, so one"
                    " delta: change positions or depth of one of them"
                )
            owner[site] = name
    taken = {site for own in placed.values() for site in own}
    lost = [site for site in cells if site not in taken]
    if not taken or (lost and placement != "grid"):
        where = ", ".join(
            f"{'' if name == 'peft' else name + ' '}{part['depth']}" for name, part in parts.items()
        )
        raise UserError(
            f"placement: {lost[0] if lost else 'nothing'} is outside the blocks of the method (peft depth: {where});"
            " change peft.depth, or place it there"
        )


def _scale_kind() -> tuple[Any, str]:
    return signature(PART).keys["scale"], PART.rpartition(".")[0]
