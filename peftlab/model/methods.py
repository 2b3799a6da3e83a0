"""Which method works on which backbone, and how many parameters it trains there, without numbers and without memory."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.timm.shapes import shapes
from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.compose import composed
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.model.load import empty_head
from peftlab.network.network import Network

NUM_CLASSES = 10  # of the head, which is not counted but may lie inside a mask's budget


def table(methods: list[str], backbones: list[str]) -> dict[str, list[int | str]]:
    """Method -> for every backbone the number of parameters, or the sentence that refuses it."""
    shown = [shapes(composed(f"backbone={name}")["backbone"]) for name in backbones]
    runs = {name: resolve(composed(f"peft={name}", "head.init=random")) for name in methods}
    return {name: [_answer(resolved, backbone) for backbone in shown] for name, resolved in runs.items()}


def _answer(resolved: Resolved, backbone: Backbone) -> int | str:
    try:
        head = empty_head(resolved, backbone, NUM_CLASSES)
        placed = place_on(resolved, backbone)
        masks = [part for part in resolved.parts if part.is_mask]
        if masks:  # which entries, only images can say
            return _entries(masks[0].form.options, backbone, head)
        cell = build_cell(resolved, backbone, placed, Start(head)).cell.to("meta")  # where the backbone is
        Network(backbone).check(cell)
    except UserError as error:
        return str(error)
    return sum(number for name, number in cell.num_parameters().items() if name != "head")


def _entries(options: Mapping[str, Any], backbone: Backbone, head: nn.Module) -> int:
    """The budget of a mask: whole heads or neurons may leave a little of it unused."""
    own = sum(value.numel() for value in head.parameters())
    return math.floor(options["keep_ratio"] * backbone.num_weights) - (own if options["count_head"] else 0)
