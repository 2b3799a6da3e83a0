"""A larger test split for rare classes: training texts that the long tail leaves out."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.cut import Cuts, tail_cut
from peftlab.dataset.draw_per_class import draw_per_class
from peftlab.dataset.items import Contents
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.dataset.text.texts import Columns, Texts, text_contents, text_split
from peftlab.errors import UserError


def filled(source: Source, cuts: Cuts, max_per_class: int) -> Source:
    """The test split and behind it, drawn by the seed of the tail, what the tail leaves out, up to `max_per_class` a class.

    What the test has by itself stays, also where it is more. No text that trains or validates is among them, nor one that
    differs from it by case, punctuation and spaces only.

    Raises:
        UserError: for a long tail that leaves nothing out.
    """
    unused = _unused(source.train, tail_cut(source, cuts))
    if not len(unused):
        raise UserError(
            f"dataset.fill_test={max_per_class} would have no effect, as every training item is used; legal: null, or a cut by"
            " dataset.imbalance or dataset.max_per_class"
        )
    fill = partial(
        _fill, source.open_test, source.train.subset(unused), source.class_names, cuts.seed, max_per_class
    )
    return replace(source, open_test=fill, test_contents=partial(_contents, fill))


def _unused(train: Split, tail: Split) -> Int64[np.ndarray, " m"]:
    """Positions in `train` of the texts that are not in `tail`."""
    assert isinstance(train.items, Texts)
    read = train.items.contents.read
    held = {read(row) for row in tail.rows.tolist()}
    apart = [position for position, row in enumerate(train.rows.tolist()) if read(row) not in held]
    return np.array(apart, dtype=np.int64)


def _fill(
    open_test: Callable[[], Split], unused: Split, names: list[str], seed: int, max_per_class: int
) -> Split:
    test, num_classes = open_test(), len(names)
    wanted = np.clip(max_per_class - test.counts(num_classes), 0, unused.counts(num_classes))
    drawn = unused.subset(draw_per_class(unused.labels, wanted, seed, "fill_test"))
    own, more = (_columns(split) for split in (test, drawn))
    second = None if own.second is None or more.second is None else own.second + more.second
    labels = np.concatenate([test.labels, drawn.labels])
    describe = partial(_describe, test, drawn)
    return text_split(names, labels, Columns(own.first + more.first, second), describe)


def _columns(split: Split) -> Columns:
    found: list[tuple[str, ...]] = split.items.take(split.rows)
    is_pair = isinstance(split.items, Texts) and split.items.columns.second is not None
    return Columns([words[0] for words in found], [words[1] for words in found] if is_pair else None)


def _describe(test: Split, drawn: Split, row: int) -> str:
    split, position = (test, row) if row < len(test) else (drawn, row - len(test))
    assert isinstance(split.items, Texts)
    return split.items.contents.describe(int(split.rows[position]))


def _contents(fill: Callable[[], Split]) -> Contents:
    """The texts alone. Which are drawn depends on how many of each class the test has, so its labels are counted, and no more."""
    split = fill()
    assert isinstance(split.items, Texts)
    return text_contents(split.items.columns, split.items.contents.describe)
