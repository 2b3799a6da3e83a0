"""Tables as CSV: the one writer of them, and the one reader."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

CLASSES = "per_class.csv"  # what a finished run says of each class
ANSWERS = "predictions.csv"  # what a finished run says of each test item: no tracker has it

# not -1 or -3--1, which are numbers and ranges
FORMULA = re.compile(r"\s*[=@]|[\t\r]|\s*[+-](?![\d.,:+-]*$)")


def table_text(rows: Iterable[Sequence[Any]], *, line_end: str = "\r\n") -> str:
    """Rows as CSV, the names of the columns first; None is an empty field, and a float keeps all its digits.

    A text that a spreadsheet would take for a formula has an apostrophe before it: somebody else may have written it.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows([_inert(value) for value in row] for row in rows)
    return text.getvalue()


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table by the names of its columns; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.DictReader(file))


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
