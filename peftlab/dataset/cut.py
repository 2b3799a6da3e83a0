"""The cuts of a source's training split: a long tail, then validation; and the counts that group the classes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class
from peftlab.dataset.long_tail import long_tail, long_tail_counts
from peftlab.dataset.rules import check_counted
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError


@dataclass(frozen=True)
class Cuts:
    """The keys of configs/dataset.yaml that say what is cut. `seed` draws the long tail, `run_seed` validation."""

    imbalance: float | int | None
    max_per_class: int | None
    seed: int
    groups: dict[str, Any]
    group_counts_imbalance: float | int | None
    val_fraction: float | int | None
    run_seed: int


def tail_cut(source: Source, cuts: Cuts) -> Split:
    """The training split, cut to the long tail.

    Raises:
        UserError: for an imbalance below 1.
    """
    tail = long_tail(
        source.train.labels,
        imbalance=cuts.imbalance,
        max_per_class=cuts.max_per_class,
        seed=cuts.seed,
        num_classes=len(source.class_names),
    )
    return source.train.subset(tail)


def group_counts(source: Source, tail: Split, cuts: Cuts) -> Int64[np.ndarray, " c"]:
    """The training counts that group the classes: those of the tail, or of a tail of another imbalance.

    Raises:
        UserError: for another imbalance that is below 1, or beside lists of classes, which need no counts.
    """
    num_classes, imbalance = len(source.class_names), cuts.group_counts_imbalance
    if imbalance is None:
        return tail.counts(num_classes)
    key = "dataset.group_counts_imbalance"
    check_counted(imbalance, cuts.groups)
    counts = source.train.counts(num_classes)
    return long_tail_counts(counts, imbalance=imbalance, max_per_class=cuts.max_per_class, key=key)


def fewer_validation(source: Source, max_per_class: int | None, seed: int) -> Source:
    """The same data with so many items a class, drawn by `seed`, in their own validation split.

    Raises:
        UserError: for data without one.
    """
    if max_per_class is None:
        return source
    if source.val is None:
        raise UserError(
            f"dataset.val_max_per_class={max_per_class} would have no effect, as the data set has no validation split of its own;"
            " legal: null, or dataset.val_fraction"
        )
    counts = np.minimum(source.val.counts(len(source.class_names)), max_per_class)
    drawn = draw_per_class(source.val.labels, counts, seed, "val_max_per_class")
    return replace(source, val=source.val.subset(drawn))


def fewer_test(source: Source, max_per_class: int | None, seed: int) -> Source:
    """The same data with so many items a class, drawn by `seed`, in the test split, once it is opened."""
    if max_per_class is None:
        return source

    def opened() -> Split:
        test = source.open_test()
        counts = np.minimum(test.counts(len(source.class_names)), max_per_class)
        return test.subset(draw_per_class(test.labels, counts, seed, "test_max_per_class"))

    return replace(source, open_test=opened)


def test_note(max_per_class: int | None) -> str:
    """What people are told of such a test; nothing of a whole one."""
    return "" if max_per_class is None else f"test: at most {max_per_class} a class"


def validation_cut(source: Source, tail: Split, cuts: Cuts) -> tuple[Split, Split | None]:
    """Training, and the source's own validation or round(fraction * n_c) of each class, whose last item trains.

    Raises:
        UserError: for a fraction beside an own validation split, and for one that leaves a side empty.
    """
    fraction = cuts.val_fraction
    if source.val is not None and fraction:
        raise UserError(
            f"dataset.val_fraction={fraction} but the data set has its own validation split; legal: 0 or null"
        )
    if source.val is not None or not fraction:
        return tail, source.val
    counts = tail.counts(len(source.class_names))
    num_drawn = np.clip(share_per_class(counts, fraction), 0, np.maximum(counts - 1, 0))
    held_out = draw_per_class(tail.labels, num_drawn, cuts.run_seed, "split")
    if fraction >= 1 or not len(held_out):
        side = "validation" if not len(held_out) else "training"
        raise UserError(
            f"dataset.val_fraction={fraction} of {len(tail)} items leaves no {side}; legal: 0, or a share"
        )
    kept = np.setdiff1d(np.arange(len(tail)), held_out)
    return tail.subset(kept), tail.subset(held_out)
