"""Tables as CSV: the one writer of them."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

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


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
