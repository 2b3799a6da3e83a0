"""The frozen blocks below a cell's first site: run once for a batch, for whoever goes on from there."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.network.acts import Acts, Forward
from peftlab.network.cell import Cell

Installed = Callable[[Acts], AbstractContextManager[None]]


class _Reached(Exception):
    """The block whose input is wanted."""


class Below:
    """What enters the blocks of a backbone, of the last batch that was asked about.

    A batch is known by the object that holds its inputs, which nobody changes. Nothing here has a graph. Only for one
    stack of blocks, each of which takes the tokens first and gives them back.
    """

    def __init__(self, backbone: Backbone, installed: Installed) -> None:
        self._backbone, self._installed = backbone, installed
        self._inputs: dict[str, Tensor] | None = None
        self._context: Any = None
        self._entering: dict[int, Tensor] = {}

    def acts(self, cell: Cell, inputs: dict[str, Tensor]) -> Acts:
        """What takes the place of the blocks below the cell's first site: the last of them gives what enters that site's block."""
        block = first_block(cell, self._backbone)
        return self._from(block, self.entering(inputs, block)) if block else {}

    def entering(self, inputs: dict[str, Tensor], block: int) -> Tensor:
        """`[b, n, d]` before block `block`; behind the last one if it is the number of blocks."""
        context = torch.is_autocast_enabled(next(iter(inputs.values())).device.type)
        if inputs is not self._inputs or context != self._context:
            self._inputs, self._context, self._entering = inputs, context, {}
        if block not in self._entering:
            self._run(inputs, block)
        return self._entering[block]

    def _run(self, inputs: dict[str, Tensor], block: int) -> None:
        names, known = self._backbone.blocks, max((at for at in self._entering if at < block), default=0)
        acts = self._from(known, self._entering[known]) if known else {}

        def keep(frozen: Forward, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            self._entering[block] = x if block < len(names) else frozen(x, *args, **kwargs)
            raise _Reached

        acts.setdefault(names[min(block, len(names) - 1)], []).append(keep)
        try:
            with self._installed(acts), torch.no_grad():
                self._backbone.features(inputs)
        except _Reached:
            pass

    def _from(self, block: int, entering: Tensor) -> Acts:
        """Acts with which a forward begins at `block`."""
        below = self._backbone.blocks[:block]
        acts: Acts = {name: [_through] for name in below[:-1]}
        acts[below[-1]] = [lambda frozen, x, *args, **kwargs: entering]
        return acts


def first_block(cell: Cell, backbone: Backbone) -> int:
    """The first block in which anything of a cell acts; the number of blocks if nothing does inside the backbone."""
    if cell.selected.weights():
        return 0
    return min((site.block for site in cell.sites), default=backbone.depth)


def _through(frozen: Forward, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return x
