"""Texts of a file, without labels: they belong to no data set."""

from collections.abc import Iterator
from pathlib import Path

from peftlab.dataset.reads import TEXT_FILES
from peftlab.dataset.source.text_file import LINE, LINES, rows_of
from peftlab.dataset.text.texts import Columns
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.option import Choice

LEGAL = f"legal: a file that ends in {' '.join(TEXT_FILES)}"


def columns_of(dataset: Choice) -> tuple[str, str | None]:
    """What the source of a choice of data calls its texts or questions, and the second texts of its pairs; None for single texts."""
    options = dataset.options["source"].options
    text = options.get("question_column", options.get("text_column", "text"))
    return text, options.get("pair_column")


def read_texts(path: str, text_column: str, pair_column: str | None) -> Columns:
    """All texts of a .txt file, one a line, or of these columns of a .csv, .tsv or .jsonl file; other columns are let be.

    Raises:
        UserError: for a file that cannot be read, a column that it lacks, an empty text, and pairs in a .txt file.
    """
    file = expanded(path)
    if not file.is_file():
        raise UserError(f"{path} is no file; {LEGAL}")
    if file.suffix.lower() not in TEXT_FILES:
        raise UserError(f"{path} is no file of texts; {LEGAL}")
    names = [text_column] if pair_column is None else [text_column, pair_column]
    if file.suffix.lower() == LINES and pair_column is not None:
        raise UserError(
            f"{path} has one text a line, and the run reads pairs; legal: a .csv, .tsv or .jsonl file with the columns"
            f" {' and '.join(names)}"
        )
    rows = list(_rows(file, [LINE] if file.suffix.lower() == LINES else names))
    if not rows:
        raise UserError(f"{plain(path)} has no row; legal: a text in each line")
    return Columns([row[0] for row in rows], None if pair_column is None else [row[1] for row in rows])


def _rows(file: Path, names: list[str]) -> Iterator[tuple[str, ...]]:
    for line, row in rows_of(file, asked=""):
        where = f"line {line} of {plain(str(file))}"
        lacking = [name for name in names if name not in row]
        if lacking:
            there = ", ".join(plain(str(name)) for name in row)
            raise UserError(
                f"{where} has no column {lacking[0]} but {there or 'none'}; legal: the columns that the run was trained on,"
                f" {', '.join(names)}"
            )
        yield tuple(_checked(row[name], f"{name} in {where}") for name in names)


def _checked(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        shown = (
            "empty"
            if value is None or isinstance(value, str)
            else f"the {type(value).__name__} {value!r:.40}"
        )
        raise UserError(f"{where} is {shown}; legal: a text in every row")
    return value
