"""What the text tower makes of the classes: once for all cells that leave it alone, and once for a cell while it stays as it is."""

from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.network.acts import Acts, Forward
from peftlab.network.cell import Cell
from peftlab.network.forward import Pass


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
        self._last: tuple[_State, Tensor] | None = None

    def acts(self, run: Pass) -> Acts:
        """What takes the place of the text tower, or goes round it where it has nothing new to say."""
        if not self._has_texts:
            return {}
        if "text" not in touched(run.cell, self._first):
            return {"classes": [self._of]}
        is_drawn = run.cell.training and run.dropout and run.rng is not None
        if torch.is_grad_enabled() or is_drawn or run.widths or run.norms is not None:
            return {}
        return {"classes": [partial(self._of_cell, run.cell)]}

    def _of(self, frozen: Forward, *args: Any) -> Tensor:
        kind = _is_cast()
        if kind not in self._known:
            with torch.no_grad():
                self._known[kind] = frozen(*args)
        return self._known[kind]

    def _of_cell(self, cell: Cell, frozen: Forward, *args: Any) -> Tensor:
        if self._last is None or not self._last[0].is_that_of(cell):
            self._last = _State(cell), frozen(*args)
        return self._last[1]


class _State:
    """Which tensors a cell has, and how often they have been written."""

    def __init__(self, cell: Cell) -> None:
        self._is_cast = _is_cast()
        self._tensors = [(ref(value), *_written(value)) for value in _tensors(cell)]

    def is_that_of(self, cell: Cell) -> bool:
        now = _tensors(cell)
        return (
            self._is_cast == _is_cast()
            and len(now) == len(self._tensors)
            and all(
                known() is value and tuple(written) == _written(value)
                for value, (known, *written) in zip(now, self._tensors, strict=True)
            )
        )


def _tensors(cell: Cell) -> list[Tensor]:
    return [*cell.parameters(), *cell.buffers()]


def _written(value: Tensor) -> tuple[int, int]:
    return value._version, value.data_ptr()


def _is_cast() -> bool:
    return torch.is_autocast_enabled("cuda") or torch.is_autocast_enabled("cpu")
