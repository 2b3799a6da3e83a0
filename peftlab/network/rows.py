"""Several cells in one forward: whose rows of the batch are whose, and where each of them joins."""

from collections.abc import Container, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from peftlab.network.acts import Act, Forward
from peftlab.network.mask import each, rows, times


def nested(acts: Sequence[Act], frozen: Forward) -> Forward:
    """The forward of a module with all acts around it, the last one outermost."""
    for act in acts:
        frozen = _Around(act, frozen)
    return frozen


class _Around:
    """`act(frozen, ...)` as a forward. What a module reads comes first, even where it is given by its name."""

    def __init__(self, act: Act, frozen: Forward) -> None:
        self._act, self._frozen = act, frozen

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args and kwargs:
            args = (kwargs.pop(next(iter(kwargs))),)
        return self._act(self._frozen, *args, **kwargs)


class Rows:
    """A cell joins at its first adapted block. Below it one copy of the batch serves all cells that have not joined, without a graph.

    `joined` are the cells whose rows stand on axis 0, one behind the other and each with a whole batch; `base` is the copy
    for the others. `joins` says of every cell the block it joins at, or None if nothing of it acts inside the backbone.
    """

    def __init__(self, joins: Sequence[int | None], num_blocks: int) -> None:
        self._joins, self._last = joins, num_blocks - 1
        self.joined: list[int] = []
        self._base: Tensor | None = None
        self._present: list[int] = []  # whose rows a module sees now

    def through(self, index: int, frozen: Forward, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The forward of block `index`; the rows of the cells that join here are added to it."""
        base = self._base if self.joined else x
        new = [cell for cell, block in enumerate(self._joins) if block == index]
        if new:
            assert base is not None
            x = torch.cat([*([x] if self.joined else []), *[base] * len(new)])
            self.joined += new
        self._base = base if self.joined and len(self.joined) < len(self._joins) else None
        if self._base is not None:
            self._present = []
            with torch.no_grad():
                self._base = frozen(self._base, *args, **kwargs)
        self._present = self.joined
        count = max(len(self.joined), 1)
        args, kwargs = (each(given, lambda mask: times(mask, count)) for given in (args, kwargs))
        x = frozen(x, *args, **kwargs)
        return x if self._base is None or index < self._last else torch.cat([x, self._base])

    def act(
        self, acts: dict[int, Sequence[Act]], frozen: Forward, x: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        """The forward of a module: each cell with acts on its own rows, the frozen one on the rest, run by run."""
        present = self._present
        if not set(acts) & set(present):
            return frozen(x, *args, **kwargs)
        size, outputs = x.shape[0] // len(present), []
        for start, stop in _runs(present, acts):
            self._present = present[start:stop]  # what the modules inside see
            forward = nested(acts.get(present[start], ()), frozen)
            own = partial(rows, start=start * size, stop=stop * size)
            outputs.append(forward(x[start * size : stop * size], *each(args, own), **each(kwargs, own)))
        self._present = present
        return _joined(outputs)

    def split(self, features: Tensor) -> list[Tensor]:
        """The features of every cell; those that never joined share the last rows."""
        copies = len(self.joined) + (len(self.joined) < len(self._joins))
        pieces = features.chunk(copies)
        at = {cell: pieces[place] for place, cell in enumerate(self.joined)}
        return [at.get(cell, pieces[-1]) for cell in range(len(self._joins))]


def _joined(outputs: Sequence[Any]) -> Any:
    """One behind the other; of a module that gives several things, each of them."""
    if isinstance(outputs[0], tuple):
        return tuple(_joined(own) for own in zip(*outputs, strict=True))
    return None if outputs[0] is None else torch.cat(list(outputs))


def _runs(present: Sequence[int], acts: Container[int]) -> Iterator[tuple[int, int]]:
    """Neighbours without acts together, every cell with acts alone: the places where each run starts and stops."""
    start = 0
    for place, cell in enumerate(present):
        if cell in acts:
            if start < place:
                yield start, place
            yield place, place + 1
            start = place + 1
    if start < len(present):
        yield start, len(present)
