"""Which method works on which backbone, and how many parameters it trains there, without numbers and without memory."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.choice import shapes_of
from peftlab.build.early import NUM_CLASSES, cell_of_shapes, empty_head
from peftlab.config.compose import composed
from peftlab.config.resolve import choice, resolve
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError

CLIPS = "dataset=moving_digits"  # on which every method for pictures works, too


def table(methods: list[str], backbones: list[str]) -> dict[str, list[int | str]]:
    """Method -> for every backbone the number of parameters, or the sentence that refuses it."""
    shown = {name: _shapes(name) for name in backbones}
    one = {name: _resolved(f"peft={name}", CLIPS, "head.init=random") for name in methods}
    return {
        name: [
            _answer(
                _resolved(f"peft={name}", f"backbone={own}", "task=contrast")
                if isinstance(backbone, Backbone) and backbone.towers
                else one[name],
                backbone,
            )
            for own, backbone in shown.items()
        ]
        for name in methods
    }


def _resolved(*words: str) -> Resolved | str:
    """A run, or why there is none."""
    try:
        return resolve(composed(*words))
    except UserError as error:
        return str(error)


def _shapes(name: str) -> Backbone | str:
    """Those of a choice of backbone, or why it cannot be had here."""
    try:
        return shapes_of(choice(composed(f"backbone={name}")["backbone"]))
    except UserError as error:
        return str(error)


def _answer(resolved: Resolved | str, backbone: Backbone | str) -> int | str:
    if isinstance(backbone, str) or isinstance(resolved, str):
        return backbone if isinstance(backbone, str) else str(resolved)
    try:
        cell = cell_of_shapes(resolved, backbone)
        if cell is None:
            options = next(part.form.options for part in resolved.parts if part.is_mask)
            return _entries(options, backbone, empty_head(resolved, backbone, NUM_CLASSES))
    except UserError as error:
        return str(error)
    return sum(number for name, number in cell.num_parameters().items() if name != "head")


def _entries(options: Mapping[str, Any], backbone: Backbone, head: nn.Module) -> int:
    """The budget of a mask: whole heads or neurons may leave a little of it unused."""
    own = sum(value.numel() for value in head.parameters())
    return math.floor(options["keep_ratio"] * backbone.num_weights) - (own if options["count_head"] else 0)
