"""Batches: a training stream that can be entered anywhere, and an evaluation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch.utils.data import DataLoader

from peftlab.dataset.items import Transform
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch, targets_of
from peftlab.stream import generator

NUM_SORTED = 50  # batches whose items are sorted together, where batches are of items of like length

Positions = Int64[np.ndarray, " n"]


POWERS = {"class_balanced": 0.0, "square_root": 0.5}  # a class is drawn in proportion to n_c^power


class Draws(NamedTuple):
    """Which stream of random numbers draws the items, and how."""

    seed: int
    stream: str = "order"
    sampler: str = "uniform"


class TrainBatches:
    """Endless batches, batch n a pure function of (split, draws, n): any n can be the first one.

    Every epoch visits each item once, in an order drawn from (seed, stream, epoch); its last batch may be
    smaller. A sampler other than uniform draws as many items, with replacement: each class as often, or by the square root
    of its items (Kang et al. 2020, arXiv:1910.09217, eq. 1, q = 0 and 1/2). An item's augmentation is drawn from (seed, stream, epoch, row)
    and, where it comes again in the epoch, from how often it did. No global random state is read or changed.
    """

    def __init__(
        self,
        split: Split,
        transform: Transform,
        *,
        batch_size: int,
        draws: Draws,
        num_workers: int = 0,
    ) -> None:
        if not len(split):
            raise ValueError("a training split without items has no batches")
        self.num_batches = -(-len(split) // batch_size)
        self._split, self._transform = split, transform
        self._batch_size, self._num_workers = batch_size, num_workers
        self._draws = draws
        self._epoch = -1
        self._order: Positions = np.empty(0, dtype=np.int64)
        self._times: Positions = (
            self._order
        )  # how often the item of a place in the order has come before in its epoch

    def iterate(self, start: int, share: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
        """Batches start, start + 1, ...; `start // num_batches` is the epoch. Of each the items r, r + n, ... of `share=(r, n)`."""
        return _load(partial(self.batch, share=share), count(start), self._split, self._num_workers)

    def batch(self, number: int, share: tuple[int, int] = (0, 1)) -> Batch:
        """Batch `number`, counted from the start of training; a share of it may hold no item."""
        epoch, index = divmod(number, self.num_batches)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._drawn(generator(*self._draws[:2], epoch))
            self._times = _times(self._order)
        places = slice(index * self._batch_size, (index + 1) * self._batch_size)
        positions = self._order[places][share[0] :: share[1]]
        rows, times = self._split.rows[positions].tolist(), self._times[places][share[0] :: share[1]].tolist()
        names = ((row, time) if time else (row,) for row, time in zip(rows, times, strict=True))
        own_each = (generator(*self._draws[:2], "augmentation", epoch, *name) for name in names)
        return _batch(self._split, positions, self._transform, own_each)

    def widths(self, epoch: int = 0) -> Positions | None:
        """How many tokens the longest item of each batch of an epoch has; None of items without a length."""
        lengths = _lengths(self._split)
        if lengths is None:
            return None
        order = self._drawn(generator(*self._draws[:2], epoch))
        found: Positions = np.maximum.reduceat(lengths[order], np.arange(0, len(order), self._batch_size))
        return found

    def _drawn(self, own: torch.Generator) -> Positions:
        """The order of an epoch."""
        num = len(self._split)
        if self._draws.sampler == "uniform":
            order: Positions = torch.randperm(num, generator=own).numpy()
            return order
        labels = torch.as_tensor(self._split.labels)
        weights = torch.bincount(labels).double() ** (POWERS[self._draws.sampler] - 1)
        drawn: Positions = torch.multinomial(weights[labels], num, replacement=True, generator=own).numpy()
        return drawn


class GroupedBatches(TrainBatches):
    """The same of batches whose items have like lengths, so that less of them is padding.

    Within every so many batches items are sorted by length, then all batches are shuffled. Source: LengthGroupedSampler of
    transformers (`group_by_length`). Differs: there the batches of a sorted stretch come from long to short.
    """

    def _drawn(self, own: torch.Generator) -> Positions:
        order, size = super()._drawn(own), self._batch_size
        lengths = _lengths(self._split)
        if lengths is None:
            return order
        stretch = size * max(1, min(len(order) // (4 * size), NUM_SORTED))
        parts = [order[start : start + stretch] for start in range(0, len(order), stretch)]
        joined = np.concatenate([part[np.argsort(-lengths[part], kind="stable")] for part in parts])
        num_whole = len(order) // size
        whole = joined[: num_whole * size].reshape(num_whole, size)
        shuffled = whole[torch.randperm(num_whole, generator=own).numpy()]
        return np.concatenate([shuffled.ravel(), joined[num_whole * size :]])


class EvalBatches:
    """All items of a split, once per iteration, in order; `by_length` the longest first, so that little of a batch is padding."""

    def __init__(
        self,
        split: Split,
        transform: Transform,
        *,
        batch_size: int,
        num_workers: int,
        by_length: bool = False,
    ) -> None:
        self._given, self._transform = split, transform
        self._batch_size, self._num_workers = batch_size, num_workers
        self._by_length = by_length

    @cached_property
    def order(self) -> Positions:
        """The positions in the split that was given, as they come. Items without a length stay where they are."""
        lengths = _lengths(self._given) if self._by_length else None
        return np.arange(len(self._given)) if lengths is None else np.argsort(-lengths, kind="stable")

    @cached_property
    def split(self) -> Split:
        """The items in the order in which they come."""
        return self._given.subset(self.order) if self._by_length else self._given

    def __len__(self) -> int:
        return -(-len(self._given) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return _load(self.batch, range(len(self)), self.split, self._num_workers)

    def batch(self, number: int) -> Batch:
        """Batch `number`."""
        start = number * self._batch_size
        positions = np.arange(start, min(start + self._batch_size, len(self._given)), dtype=np.int64)
        return _batch(self.split, positions, self._transform, ())

    def kept(self) -> "KeptBatches":
        """The same, made once and held in memory."""
        return KeptBatches(self.split, list(self))


@dataclass(frozen=True, eq=False)
class KeptBatches:
    """All items of a split in order."""

    split: Split
    own: list[Batch]

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.own)


def _times(order: Positions) -> Positions:
    """Of each place how many places before it hold the same."""
    by_value = np.argsort(order, kind="stable")
    values = order[by_value]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    within = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    times = np.empty_like(order)
    times[by_value] = within
    return times


def _lengths(split: Split) -> Positions | None:
    """How many tokens each item has; None of items that have none."""
    lengths = getattr(split.items, "lengths", None)
    return None if lengths is None else np.asarray(lengths(split.rows), dtype=np.int64)


def _batch(
    split: Split,
    positions: Int64[np.ndarray, " b"],
    transform: Transform,
    generators: Iterable[torch.Generator],
) -> Batch:
    rows = split.rows[positions]
    inputs = transform(split.items.take(rows), generators) if len(rows) else {}
    classes = torch.from_numpy(split.labels[positions])
    return Batch(inputs, targets_of(inputs, classes), torch.from_numpy(rows))


class _Numbered:
    """A function of the batch number in the form that DataLoader asks for.

    A wrong input comes back as a value: DataLoader would make the traceback of its process a part of the sentence.
    """

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, number: int) -> Batch | UserError:
        try:
            return self._make(number)
        except UserError as error:
            return UserError(str(error))  # without its causes, which another process may not be able to read


def _load(
    make: Callable[[int], Batch], numbers: Iterable[int], split: Split, num_workers: int
) -> Iterator[Batch]:
    if num_workers == 0:
        yield from map(make, numbers)
        return
    split.items.keep(split.rows)  # decoded once here, not once in every worker
    for batch in DataLoader(
        _Numbered(make),  # type: ignore[arg-type]  # all that is asked of a data set
        sampler=numbers,
        batch_size=None,
        num_workers=num_workers,
        collate_fn=_same,
        generator=torch.Generator(),  # else DataLoader draws from the global one
    ):
        if isinstance(batch, UserError):
            raise batch
        yield batch


def _same(batch: Any) -> Any:
    return batch
