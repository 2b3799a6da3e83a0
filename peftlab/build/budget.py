"""placement.budget at build time, when shapes are known: the widths of all sites, or the size of a mask."""

from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.build.instantiate import make
from peftlab.config.place import Placed, options_of
from peftlab.errors import UserError
from peftlab.network.insertion import ends
from peftlab.peft.part import parts_of
from peftlab.peft.weights import Chosen
from peftlab.placement.budget import Cost, parse_budget, solve


def within_budget(config: dict[str, Any], backbone: Backbone, placed: Placed) -> Placed:
    """The same sites, each with the width that the budget leaves it among its options.

    The widths of all parts scale together; a part without one costs what it costs.

    Raises:
        UserError: if no widths come within 1 % of the budget.
    """
    parts = parts_of(config["peft"])
    budget = parse_budget(config["placement"].get("budget"), parts)
    if budget is None or any(part["insertion"] == "in_place" for part in parts.values()):
        return placed
    keys = {name: make(options_of(part)).func.width_key for name, part in parts.items()}
    costs = [cost for name, part in parts.items() for cost in _costs(part, backbone, placed[name])]
    widths = solve(costs, budget)
    return {
        name: {
            site: {**options, keys[name]: widths[site]} if site in widths else options
            for site, options in cells.items()
        }
        for name, cells in placed.items()
    }


def mask_part(
    config: dict[str, Any], part: dict[str, Any], num_backbone: int, num_head: int
) -> dict[str, Any]:
    """The part with the keep_ratio that gives its mask as many entries as the budget, beside the head."""
    budget = parse_budget(config["placement"].get("budget"), {"peft": part})
    if budget is None:
        return part
    entries = budget + (num_head if part.get("count_head") else 0)
    # a mask has floor(keep_ratio * num_backbone) entries: the half keeps the floor from rounding
    return {**part, "keep_ratio": (entries + 0.5) / num_backbone}


def check_mask(config: dict[str, Any], part: dict[str, Any], chosen: Chosen) -> None:
    """Whole heads or neurons may not fill a budget.

    Raises:
        UserError: with the size of the mask, if it is not within 1 % of the budget.
    """
    budget = parse_budget(config["placement"].get("budget"), {"peft": part})
    total = sum(weight.value.numel() if mask is None else int(mask.sum()) for weight, mask in chosen)
    if budget is not None and 100 * abs(total - budget) > budget:
        raise UserError(
            f"placement.budget={budget} falls between two sizes of the mask; legal: {total:_}, which it can fill, or more"
        )


def _costs(part: dict[str, Any], backbone: Backbone, cells: dict[Any, dict[str, Any]]) -> list[Cost]:
    """What each site has at its nominal width and at one more, counted on deltas that are built as after training."""
    form = make(options_of(part))
    key, after = form.func.width_key, form.func.after_training
    counted: dict[str, int] = {}

    def count(num_in: int, num_out: int, options: dict[str, Any]) -> int:
        same = f"{num_in} {num_out} {sorted(options.items())}"
        if same not in counted:
            delta = form(num_in, num_out, torch.Generator(), **options)
            counted[same] = sum(value.numel() for value in delta.parameters())
        return counted[same]

    costs = []
    for site, options in cells.items():
        _, _, num_in, num_out = ends(part["insertion"], backbone.place(site))
        own = {**{name: value for name, value in options.items() if name != "scale"}, **after}
        if key is None:
            costs.append(Cost(site, count(num_in, num_out, own), 0, 1))
            continue
        nominal = own.get(key, part[key])
        here = count(num_in, num_out, {**own, key: nominal})
        step = count(num_in, num_out, {**own, key: nominal + 1}) - here
        costs.append(Cost(site, here - nominal * step, step, nominal))
    return costs
