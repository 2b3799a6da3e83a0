"""Any image data set of the Hugging Face hub, or a local folder of the same layout."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from peftlab.dataset.items import Contents
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.table import check_labels, class_names, table_contents, table_split
from peftlab.dataset.source.tables import Splits, find_tables
from peftlab.dataset.split import Split


class Columns(NamedTuple):
    """The names of the columns that hold pictures and labels."""

    image: str
    label: str


def hub(
    path: str | None,
    *,
    hub_id: str | None,
    folder: str | None,
    config_name: str | None,
    train_split: str,
    val_split: str | None,
    test_split: str,
    image_column: str,
    label_column: str,
) -> Source:
    """`path` (a folder or a hub id) if given, else `$PEFTLAB_DATA/<folder>` if it exists, else `hub_id`.

    Raises:
        UserError: for a set that is in none of these places, and for a split or column that it does not have.
    """
    tables, roots = find_tables(path, hub_id, folder, config_name)
    Splits(train_split, val_split, test_split).check(tables)
    train_table = tables[train_split]()
    names = class_names(train_table, label_column=label_column)
    columns = Columns(image_column, label_column)
    read = partial(_read, names, columns, roots)
    train = read(train_split, lambda: train_table)
    val = None if val_split is None else read(val_split, tables[val_split])
    test = (test_split, tables[test_split])
    contents = partial(_contents, names, columns, roots, *test)
    return Source(names, train, val, partial(read, *test), test_contents=contents)


def _read(
    names: list[str], columns: Columns, roots: tuple[Path, ...], split: str, table: Callable[[], pa.Table]
) -> Split:
    image, label = columns
    return table_split(table(), names, image_column=image, label_column=label, split=split, roots=roots)


def _contents(
    names: list[str], columns: Columns, roots: tuple[Path, ...], split: str, table: Callable[[], pa.Table]
) -> Contents:
    """The pictures alone; a label that is in no class is told now, and not after the training."""
    found = table()
    check_labels(found, names, label_column=columns.label, split=split)
    return table_contents(found, columns.image, split, roots)
