"""Any text data set of the Hugging Face hub, or a local folder of the same layout."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from peftlab.dataset.items import Contents
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.table import check_labels, class_names, column_of
from peftlab.dataset.source.tables import Splits, find_tables
from peftlab.dataset.split import Split
from peftlab.dataset.text.texts import Columns, text_contents, text_split
from peftlab.errors import UserError

Order = Literal["given", "by_count"]


class _Reader(NamedTuple):
    """The columns of a set, its class names as it gives them, and which of these each of ours is."""

    text: str
    pair: str | None
    label: str
    given: list[str]
    order: Int64[np.ndarray, " c"]

    @property
    def names(self) -> list[str]:
        """Class names in the order of our labels."""
        return [self.given[label] for label in self.order]

    def split(self, split: str, table: Callable[[], pa.Table]) -> Split:
        """All rows of a split."""
        found = table()
        labels = np.argsort(self.order)[self._labels(found, split)]
        return text_split(self.names, labels, self._columns(found, split), partial(describe, split))

    def contents(self, split: str, table: Callable[[], pa.Table]) -> Contents:
        """The texts alone; a label that is in no class is told now, and not after the training."""
        found = table()
        self._labels(found, split)
        return text_contents(self._columns(found, split), partial(describe, split))

    def _labels(self, table: pa.Table, split: str) -> Int64[np.ndarray, " n"]:
        return check_labels(table, self.given, label_column=self.label, split=split)

    def _columns(self, table: pa.Table, split: str) -> Columns:
        first = texts_of(table, "text_column", self.text, split)
        return Columns(first, None if self.pair is None else texts_of(table, "pair_column", self.pair, split))


def text_hub(
    path: str | None,
    *,
    hub_id: str | None,
    folder: str | None,
    config_name: str | None,
    train_split: str,
    val_split: str | None,
    test_split: str,
    text_column: str,
    pair_column: str | None,
    label_column: str,
    class_order: Order,
) -> Source:
    """`path` (a folder or a hub id) if given, else `$PEFTLAB_DATA/<folder>` if it exists, else `hub_id`.

    The classes stand as the set has them, or from the one with the most training texts to the one with the fewest.

    Raises:
        UserError: for a set that is in none of these places, and for a split or column that it does not have.
    """
    tables, _ = find_tables(path, hub_id, folder, config_name)
    Splits(train_split, val_split, test_split).check(tables)
    _check_pair(text_column, pair_column)
    table = tables[train_split]()
    given = class_names(table, label_column=label_column)
    labels = check_labels(table, given, label_column=label_column, split=train_split)
    counts = np.bincount(labels, minlength=len(given))
    order = np.argsort(-counts, kind="stable") if class_order == "by_count" else np.arange(len(given))
    reader = _Reader(text_column, pair_column, label_column, given, order.astype(np.int64))
    return Source(
        reader.names,
        reader.split(train_split, lambda: table),
        None if val_split is None else reader.split(val_split, tables[val_split]),
        partial(reader.split, test_split, tables[test_split]),
        test_contents=partial(reader.contents, test_split, tables[test_split]),
    )


def _check_pair(text: str, pair: str | None) -> None:
    if pair == text:
        raise UserError(
            f"dataset.source.pair_column={pair} is the text column, too; legal: another column, or null for single texts"
        )


def texts_of(table: pa.Table, key: str, name: str, split: str) -> list[str]:
    """A column of texts; `key` is what the config calls it.

    Raises:
        UserError: for a column that is missing or holds something else, and a row without a text.
    """
    column = column_of(table, name, key=key)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise UserError(f"dataset.source.{key}={name} holds {column.type}; legal: a column of texts")
    found: list[str | None] = column.to_pylist()
    for row, text in enumerate(found):
        if text is None or not text.strip():
            raise UserError(
                f"dataset.source.{key}={name} is empty in {describe(split, row)}; legal: a text in every row"
            )
    return [str(text) for text in found]


def describe(split: str, row: int) -> str:
    """A row for people."""
    return f"row {row} of the split {split}"
