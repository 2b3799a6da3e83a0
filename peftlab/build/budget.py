"""placement.budget at build time, when shapes are known: the widths of all sites, or the size of a mask."""

from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.build.views import options_at, view_of
from peftlab.config.place import Placed
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.peft.delta import Reparametrised
from peftlab.peft.mask.mask import Mask
from peftlab.peft.part import Part
from peftlab.peft.view import View
from peftlab.peft.weights import Chosen, Weights
from peftlab.placement.budget import Cost, solve
from peftlab.placement.ground import Cells


def within_budget(resolved: Resolved, backbone: Backbone, placed: Placed) -> Placed:
    """The same sites, each with the width that the budget leaves it among its options.

    The widths of all parts scale together; a part without one costs what it costs.

    Raises:
        UserError: if no widths come within 1 % of the budget.
    """
    parts = resolved.parts
    if resolved.budget is None or any(part.is_selection for part in parts):
        return placed
    costs = [cost for part in parts for cost in _costs(part, backbone, placed.parts[part.name])]
    widths = solve(costs, resolved.budget)
    sized = {
        part.name: {
            site: {**own, str(part.width_key): widths[site]} if site in widths else own
            for site, own in placed.parts[part.name].items()
        }
        for part in parts
    }
    return Placed(sized, placed.scores)


def mask_of(mask: Mask, budget: int, weights: Weights) -> float:
    """The keep_ratio that gives a mask as many entries as the budget, beside the head."""
    entries = budget + (weights.num_head if mask.count_head else 0)
    # a mask has floor(keep_ratio * num_backbone) entries: the half keeps the floor from rounding
    return (entries + 0.5) / weights.num_backbone


def check_mask(budget: int, chosen: Chosen) -> None:
    """Whole heads or neurons may not fill a budget.

    Raises:
        UserError: with the size of the mask, if it is not within 1 % of the budget.
    """
    total = sum(weight.value.numel() if mask is None else int(mask.sum()) for weight, mask in chosen)
    if 100 * abs(total - budget) > budget:
        raise UserError(
            f"placement.budget={budget} falls between two sizes of the mask; legal: {total:_}, which it can fill, or more"
        )


def _costs(part: Part, backbone: Backbone, cells: Cells) -> list[Cost]:
    """What each site has at a width of 1 and of 2, counted on deltas that are built as after training."""
    form: Any = part.form.function
    after = form.after_training if issubclass(form, Reparametrised) else {}
    counted: dict[str, int] = {}

    def count(view: View, options: dict[str, Any]) -> int:
        same = f"{view.num_in} {view.num_out} {sorted(options.items())}"
        if same not in counted:
            delta = form(view, torch.Generator(), **options)
            counted[same] = sum(value.numel() for value in delta.parameters())
        return counted[same]

    costs = []
    for site, own in cells.items():
        view, options = view_of(part, backbone, site), {**options_at(part, own), **after}
        if part.width_key is None:
            costs.append(Cost(site, count(view, options), 0, 1))
            continue
        one, two = (count(view, {**options, part.width_key: width}) for width in (1, 2))
        costs.append(Cost(site, 2 * one - two, two - one, options[part.width_key]))
    return costs
