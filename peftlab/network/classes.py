"""What the text tower makes of the classes, once for all cells that leave it alone."""

from typing import Any

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.network.acts import Acts, Forward
from peftlab.network.cell import Cell


def touched(cell: Cell, first: int) -> set[str]:
    """In which of two towers a cell acts; block `first` is the first of the texts."""
    weights = {name.partition(".")[0] for name in cell.selected.weights()}
    return {"text" if site.block >= first else "image" for site in cell.sites} | weights


class Classes:
    """The vectors of the classes of a backbone of two towers. They have no graph, and nobody changes them."""

    def __init__(self, backbone: Backbone) -> None:
        self._first = backbone.towers[0].depth if backbone.towers else 0
        self._has_texts = backbone.texts is not None and not backbone.texts.per_image
        self._known: dict[bool, Tensor] = {}

    def acts(self, cell: Cell) -> Acts:
        """What takes the place of the text tower, for a cell that does not act in it."""
        return {} if not self._has_texts or "text" in touched(cell, self._first) else {"classes": [self._of]}

    def _of(self, frozen: Forward, *args: Any) -> Tensor:
        kind = torch.is_autocast_enabled("cuda") or torch.is_autocast_enabled("cpu")
        if kind not in self._known:
            with torch.no_grad():
                self._known[kind] = frozen(*args)
        return self._known[kind]
