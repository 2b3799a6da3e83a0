"""A table as Markdown, as LaTeX for booktabs, and as CSV."""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from peftlab.inputs.plain import plain
from peftlab.record.table import table_text
from peftlab.report.markdown import inert
from peftlab.report.page.parts import Column, Table

LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "²": r"$^2$",
    "×": r"$\times$",
    "γ": r"$\gamma$",
    "\n": " ",
}


def markdown(table: Table) -> str:
    """A table of GitHub's Markdown; words that look like markup are shown as they are."""
    heads = [inert(column.head) for column in table.columns]
    align = ["--:" if column.is_number else "---" for column in table.columns]
    rows = [[inert(entry.text) for entry in row] for row in table.rows]
    lines = ["| " + " | ".join(words) + " |" for words in (heads, *rows)]
    lines.insert(1, "|" + "|".join(align) + "|")
    return "\n".join(lines) + ("\n\n" + table.note if table.note else "")


def latex(table: Table) -> str:
    r"""A tabular with the rules of booktabs, to be taken in with \input; what it needs stands in its first line."""
    align = "".join("r" if column.is_number else "l" for column in table.columns)
    rows = [" & ".join(_latex(entry.text) for entry in row) + r" \\" for row in table.rows]
    return "\n".join(
        [
            rf"% {_latex(table.title)}: \usepackage{{booktabs}}",
            *([f"% {_latex(table.note)}"] if table.note else []),
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            " & ".join(_latex(column.head) for column in table.columns) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def csv(table: Table) -> str:
    """Numbers with all their digits, and the ends of an interval in columns of their own; what is absent is an empty field."""
    return table_text(plain_rows(table), line_end="\n")


def plain_rows(table: Table) -> list[list[Any]]:
    """The heads, then each row as numbers and words; an interval has columns of its own for its ends."""
    heads = [head for place, column in enumerate(table.columns) for head, _ in _fields(table, column, place)]
    rows = [
        [
            value
            for place, column in enumerate(table.columns)
            for _, value in _fields(table, column, place, row)
        ]
        for row in range(len(table.rows))
    ]
    return [heads, *rows]


def _fields(table: Table, column: Column, place: int, row: int | None = None) -> Iterator[tuple[str, Any]]:
    """The fields that a column has in a CSV: one, or three where some row has an interval."""
    entries = [row[place] for row in table.rows]
    entry = None if row is None else entries[row]
    if not column.is_number:
        yield column.head, entry and entry.text
        return
    yield column.head, entry and _digits(entry.value, entry.text)
    if any(isfinite(one.low + one.high) for one in entries):
        yield f"{column.head} low", entry and _digits(entry.low)
        yield f"{column.head} high", entry and _digits(entry.high)


def _digits(value: float, text: str = "") -> float | int | str:
    """A number, a count without a point; or the words that stand in its place, as `diverged`."""
    if not isfinite(value):
        return "" if re.match(r"[-+]?\d", text) else text
    return int(value) if re.fullmatch(r"[\d,]+", text) and value == int(value) else value


def _latex(text: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in plain(text))
