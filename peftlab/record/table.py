"""Tables as CSV: the one writer of them."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def table_text(rows: Iterable[Sequence[Any]], *, line_end: str = "\r\n") -> str:
    """Rows as CSV, the names of the columns first; None is an empty field, and a float keeps all its digits."""
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows(rows)
    return text.getvalue()
