"""Texts of one's own: a .csv, .tsv or .jsonl file, or a folder of them, one for each split."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.items import Contents
from peftlab.dataset.source.held_out import held_out
from peftlab.dataset.source.link import is_inside
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.text_file import ENDINGS, Named, Table, read_text_file
from peftlab.dataset.source.tree import SPLITS, entries, is_hidden
from peftlab.dataset.split import Split
from peftlab.dataset.text.texts import Columns, text_contents, text_split
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.option import Fraction

LEGAL = "a .csv, .tsv or .jsonl file, or a folder with train and test files of one of these kinds"


def text_folder(
    path: str | None, *, text_column: str, pair_column: str | None, label_column: str, test_fraction: Fraction
) -> Source:
    """`path/train.csv` and `path/test.csv` (and `val`, `valid` or `validation`), or one file.

    Labels follow the sorted class names, numbers by their value. One file gets a stratified test split of `test_fraction`,
    the same one always.

    Raises:
        UserError: for what is missing or cannot be read, columns that a file lacks, splits of different classes.
    """
    if pair_column == text_column:
        raise UserError(
            f"dataset.source.pair_column={pair_column} is the text column, too; legal: another column, or null for single"
            " texts"
        )
    return folder_source(path, Named(text_column, pair_column, label_column), test_fraction)


def folder_source(path: str | None, named: Named, test_fraction: float | int) -> Source:
    """The same of these columns, whatever is in them.

    Raises:
        UserError: as there.
    """
    if path is None or not path.strip():
        raise UserError(f"dataset.path={'null' if path is None else path} names no file; legal: {LEGAL}")
    root = expanded(path)
    if root.is_file():
        return _with_cut(root, named, test_fraction, Counter())
    if not root.is_dir():
        raise UserError(f"dataset.path={path} is neither a file nor a folder; legal: {LEGAL}")
    files, ignored = _files(root)
    if len(files) == 1 and "train" in files:
        return _with_cut(files["train"], named, test_fraction, ignored)
    if missing := [split for split in ("train", "test") if split not in files]:
        there = ", ".join(file.name for file in files.values()) or "no such file"
        raise UserError(f"dataset.path={path} has {there} but no {missing[0]} file; legal: {LEGAL}")
    return _with_splits(files, named, ignored)


def _files(root: Path) -> tuple[dict[str, Path], Counter[str]]:
    """The file of each split."""
    found: dict[str, Path] = {}
    ignored: Counter[str] = Counter()
    for entry in entries(root):
        file = Path(entry.path)
        split = next((split for split, words in SPLITS.items() if file.stem.lower() in words), None)
        if is_hidden(entry.name):
            ignored["hidden or of the system"] += 1
        elif split is None or file.suffix.lower() not in ENDINGS or not file.is_file():
            ignored["no file of a split"] += 1
        elif not is_inside(file, root):
            raise UserError(
                f"dataset.path={root} has {plain(file.name)}, a link out of the folder; legal: files inside it"
            )
        elif split in found:
            raise UserError(
                f"dataset.path={root} has both {found[split].name} and {plain(file.name)}; legal: one file for {split}"
            )
        else:
            found[split] = file
    return found, ignored


def _with_splits(files: dict[str, Path], named: Named, ignored: Counter[str]) -> Source:
    table = read_text_file(files["train"], named)
    names = _class_names(table)
    val = _split(names, read_text_file(files["val"], named)) if "val" in files else None
    return Source(
        list(map(plain, names)),
        _split(names, table),
        val,
        partial(_read_split, names, files["test"], named),
        ignored=ignored,
        test_contents=partial(_read_contents, names, files["test"], named),
    )


def _with_cut(file: Path, named: Named, test_fraction: float | int, ignored: Counter[str]) -> Source:
    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"dataset.path={plain(str(file))} ends in {file.suffix or 'nothing'}; legal: {LEGAL}")
    table = read_text_file(file, named)
    names = _class_names(table)
    labels = _labels(names, table)
    test = held_out(labels, len(names), test_fraction, "text_folder_test")
    if not len(test):
        raise UserError(
            f"dataset.path={plain(str(file))} has one text of each class, which leaves no test text; legal: two or more of a"
            " class, or a train and a test file"
        )
    kept, cut = (_part(table, rows) for rows in (np.setdiff1d(np.arange(len(labels)), test), test))
    return Source(
        list(map(plain, names)),
        _split(names, kept),
        None,
        partial(_split, names, cut),
        ignored=ignored,
        test_contents=partial(_contents, cut),
    )


def _class_names(table: Table) -> list[str]:
    found = set(table.labels)
    return sorted(found, key=int) if all(map(_is_number, found)) else sorted(found)


def _is_number(text: str) -> bool:
    """Whether it is a whole number, written as one is."""
    return text.isdecimal() and text == str(int(text))


def _labels(names: list[str], table: Table) -> Int64[np.ndarray, " n"]:
    ids = {name: label for label, name in enumerate(names)}
    for row, name in enumerate(table.labels):
        if name not in ids:
            raise UserError(
                f"dataset.path has the class {plain(name)} in {table.describe(row)}, which no text to train on has; legal:"
                f" {', '.join(map(plain, names[:10]))}{', ...' if len(names) > 10 else ''}"
            )
    return np.array([ids[name] for name in table.labels], dtype=np.int64)


def _part(table: Table, rows: Int64[np.ndarray, " m"]) -> Table:
    first, second, answers = (
        None if column is None else [column[row] for row in rows] for column in table.columns
    )
    chosen = Columns(first or [], second, answers)
    return Table(table.file, chosen, [table.labels[row] for row in rows], [table.lines[row] for row in rows])


def _split(names: list[str], table: Table) -> Split:
    return text_split(names, _labels(names, table), table.columns, table.describe)


def _contents(table: Table) -> Contents:
    return text_contents(table.columns, table.describe)


def _read_split(names: list[str], file: Path, named: Named) -> Split:
    return _split(names, read_text_file(file, named))


def _read_contents(names: list[str], file: Path, named: Named) -> Contents:
    """The texts alone; a label that is in no class is told now, and not after the training."""
    table = read_text_file(file, named)
    _labels(names, table)
    return _contents(table)
