"""An Arrow table of encoded pictures and labels, as the Hugging Face hub stores image sets."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from peftlab.dataset.items import Contents
from peftlab.dataset.source.encoded_split import encoded_split
from peftlab.dataset.source.link import is_inside, real
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

MAX_NUMBERED = 1000  # classes that a column of numbers may have without as many rows


def class_names(table: pa.Table, *, label_column: str) -> list[str]:
    """The names of the set's ClassLabel; else the column's strings, sorted, or 0, 1, ... to its largest id.

    Raises:
        UserError: for a column that is missing or holds neither strings nor whole numbers.
    """
    column = column_of(table, label_column, key="label_column")
    if names := _listed(table, label_column):
        return names
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return [plain(name) for name in sorted(pc.unique(column).to_pylist(), key=str) if name is not None]
    if pa.types.is_integer(column.type):
        return _numbered(column, label_column)
    raise UserError(
        f"dataset.source.label_column={label_column} holds {column.type}; legal: a column of classes"
    )


def _listed(table: pa.Table, label_column: str) -> list[str]:
    """What the metadata say, which somebody wrote; none where they are no list of names."""
    try:
        found = json.loads((table.schema.metadata or {})[b"huggingface"])
        names = found["info"]["features"][label_column]["names"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return []
    return [plain(str(name)) for name in names] if isinstance(names, list) else []


def _numbered(column: pa.ChunkedArray, label_column: str) -> list[str]:
    """0, 1, ... to the largest label, which says nothing of the number of classes if it is above that of the rows."""
    largest = pc.max(column).as_py() or 0
    if largest > max(len(column), MAX_NUMBERED):
        raise UserError(
            f"dataset.source.label_column={label_column} has the label {largest} in {len(column)} rows; legal: classes that"
            " are numbered from 0, or names"
        )
    return [str(label) for label in range(largest + 1)]


def table_split(
    table: pa.Table,
    names: list[str],
    *,
    image_column: str,
    label_column: str,
    split: str,
    roots: Sequence[Path] = (),
) -> Split:
    """All rows of `table` with labels that are positions in `names`. A cell may name a file below one of `roots` and no other.

    Raises:
        UserError: for a missing column, a column without pictures, a row without one or whose label is in no class.
    """
    labels = check_labels(table, names, label_column=label_column, split=split)
    return encoded_split(names, labels, table_contents(table, image_column, split, roots))


def table_contents(table: pa.Table, image_column: str, split: str, roots: Sequence[Path] = ()) -> Contents:
    """The pictures of a table.

    Raises:
        UserError: for a missing column, a column without pictures, a row without one.
    """
    column = column_of(table, image_column, key="image_column")
    fields = [field.name for field in column.type] if pa.types.is_struct(column.type) else []
    cells = pc.struct_field(column, "bytes") if "bytes" in fields else column
    if not (pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type)):
        raise UserError(
            f"dataset.source.image_column={image_column} holds {column.type}; legal: a column of images"
        )
    # A set of loose files is a table of paths: into the library's cache, or beside the table.
    paths = pc.struct_field(column, "path") if "path" in fields else pa.nulls(len(column))
    empty = np.flatnonzero(pc.is_null(cells).to_numpy())
    files = {int(row): _file(paths[int(row)].as_py(), int(row), split, roots) for row in empty}
    sizes = np.array(pc.fill_null(pc.binary_length(cells), 0).to_numpy(), dtype=np.int64)
    sizes[empty] = [file.stat().st_size for file in files.values()]
    return Contents(sizes, partial(_read_cell, cells, files), partial(_describe, split))


def column_of(table: pa.Table, name: str, *, key: str) -> pa.ChunkedArray:
    """Raises: UserError for a column that is missing; `key` is what the config calls it."""
    if name not in table.column_names:
        raise UserError(
            f"dataset.source.{key}={name} is not in the data set; legal: {', '.join(table.column_names)}"
        )
    return table.column(name)


def check_labels(
    table: pa.Table, names: list[str], *, label_column: str, split: str
) -> Int64[np.ndarray, " n"]:
    """The labels of all rows, each a position in `names`.

    Raises:
        UserError: for a missing column, and a row whose label is in no class.
    """
    column = column_of(table, label_column, key="label_column")
    if pa.types.is_integer(column.type):
        try:
            labels = pc.fill_null(column.cast(pa.int64()), -1).to_numpy().astype(np.int64)
        except pa.ArrowInvalid as error:  # a whole number that 64 bits with a sign do not hold
            raise UserError(
                f"dataset.source.label_column={label_column} of {split} holds labels that are too large ({error}); legal: one"
                f" of the {len(names)} classes"
            ) from error
    else:
        ids = {name: label for label, name in enumerate(names)}
        labels = np.array([ids.get(plain(str(name)), -1) for name in column.to_pylist()], dtype=np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(wrong):
        value = column[int(wrong[0])].as_py()
        raise UserError(
            f"dataset.source.label_column={label_column} has the label {plain(str(value))} in row {wrong[0]} of {split}; "
            f"legal: one of the {len(names)} classes"
        )
    return labels


def _read_cell(cells: pa.ChunkedArray, files: dict[int, Path], row: int) -> bytes:
    return files[row].read_bytes() if row in files else bytes(cells[row].as_py())


def _file(path: object, row: int, split: str, roots: Sequence[Path]) -> Path:
    """The file that a cell names."""
    text = str(path or "")
    for root in roots if text and "\0" not in text else ():
        file = real(root / text)
        if is_inside(root / text, root) and file.is_file():
            return file
    raise UserError(
        f"dataset.path has no image in {_describe(split, row)}{f' but the path {plain(text)}' if text else ''}; legal: an"
        " image in every row, or the path of one inside the data set's folder"
    )


def _describe(split: str, row: int) -> str:
    return f"row {row} of the split {split}"
