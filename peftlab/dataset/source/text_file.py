"""A file of texts and labels that people wrote: comma or tab separated values with a first line of names, or lines of JSON."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from peftlab.dataset.text.texts import Columns
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

ENDINGS = (".csv", ".tsv", ".jsonl")
LINES = ".txt"  # a text in each line, which no table of texts and labels is
ALL = "all"  # the class of every text where no column tells one
LINE = "line"  # what the only column of such a file is called
Row = tuple[int, dict[str, Any]]


class Named(NamedTuple):
    """What the columns of a file are called; `pair` is null for single texts, `answer` for those that are no questions, and
    `label` where all are of one class."""

    text: str
    pair: str | None
    label: str | None
    answer: str | None = None

    def key(self, column: str) -> str:
        """What the config calls the name of a column."""
        is_question = column == "text" and self.answer is not None
        return f"dataset.source.{'question' if is_question else column}_column"


class Table(NamedTuple):
    """Texts, the label of each, and the line of each in its file."""

    file: Path
    columns: Columns
    labels: list[str]
    lines: list[int]

    def describe(self, row: int) -> str:
        """A row for people."""
        return f"line {self.lines[row]} of {plain(str(self.file))}"


def read_text_file(file: Path, named: Named) -> Table:
    """All rows of a file.

    Raises:
        UserError: for a file that cannot be read or is no table, a column that it lacks, a row without a text or label.
    """
    texts: dict[str, list[str]] = {key: [] for key, name in named._asdict().items() if name is not None}
    lines: list[int] = []
    for line, row in rows_of(file, "dataset.path: "):
        lines.append(line)
        for key, values in texts.items():
            told = f"{named.key(key)}={getattr(named, key)}"
            where = f"line {line} of {plain(str(file))}"
            values.append(_cell(row, getattr(named, key), key == "label", told, where))
    if not lines:
        raise UserError(
            f"dataset.path: {plain(str(file))} has no row; legal: a text and a label in each line"
        )
    columns = Columns(texts["text"], texts.get("pair"), texts.get("answer"))
    return Table(file, columns, texts.get("label", [ALL] * len(lines)), lines)


def rows_of(file: Path, asked: str) -> Iterator[Row]:
    """Each row with its line, by the names of the columns; a sentence about the file begins with what `asked` for it.

    Raises:
        UserError: for a file that cannot be read, or is no table.
    """
    lines = {LINES: _plain_lines, ".jsonl": _json_lines}
    try:
        yield from lines.get(file.suffix.lower(), _separated)(file, asked)
    except OSError as error:
        raise UserError(
            f"{asked}{plain(str(file))} cannot be read ({error.strerror}); legal: a file that this user may read"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{asked}{plain(str(file))} is no text in UTF-8 ({error.reason} at byte {error.start}); legal: UTF-8"
        ) from error


def _separated(file: Path, asked: str) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            names = next(reader, [])
            for values in reader:
                if not values:
                    continue
                if len(values) != len(names):
                    raise UserError(
                        f"{asked}line {reader.line_num} of {plain(str(file))} has {len(values)} values for"
                        f" {len(names)} columns; legal: one for each, in quotation marks where it has a separator"
                    )
                yield reader.line_num, dict(zip(names, values, strict=True))
        except csv.Error as error:
            raise UserError(
                f"{asked}line {reader.line_num} of {plain(str(file))} cannot be read ({error}); legal: values with a"
                " separator between them, in quotation marks where they hold one"
            ) from error


def _plain_lines(file: Path, asked: str) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            yield number, {LINE: line.rstrip("\n")}


def _json_lines(file: Path, asked: str) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise UserError(
                    f"{asked}line {number} of {plain(str(file))} is no mapping of JSON; legal: as"
                    ' {"text": "...", "label": "..."}'
                )
            yield number, row


def _cell(row: dict[str, Any], name: str, is_label: bool, told: str, where: str) -> str:
    if name not in row:
        legal = ", ".join(plain(str(column)) for column in row)
        raise UserError(f"{told} is not in {where}; legal: {legal or 'no column'}")
    value = row[name]
    is_word = isinstance(value, str) or (is_label and isinstance(value, int))
    if not is_word or not str(value).strip():
        shown = (
            "empty" if value is None or is_word else f"the {type(value).__name__} {plain(str(value)[:40])}"
        )
        legal = "a word or a whole number" if is_label else "a text"
        raise UserError(f"{told} is {shown} in {where}; legal: {legal} in every row")
    return str(value).strip() if is_label else str(value)
