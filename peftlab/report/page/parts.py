"""What a report is made of, before it is a page, a document or files: sections of sentences, tables and pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """What a table says in one place.

    text: as people read it, with its interval. value: the number behind it, in the unit of its column; NaN for words. low,
    high: its 95 % interval. link: a file or folder, as seen from the folder of the report.
    """

    text: str
    value: float = nan
    low: float = nan
    high: float = nan
    link: str = ""


class Column(NamedTuple):
    """The head of a column: its name, its unit, and whether its entries are numbers."""

    name: str
    unit: str = ""
    is_number: bool = True

    @property
    def head(self) -> str:
        """`tail (%)`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Table:
    """Rows of entries under columns. name: that of its files. note: what its signs mean."""

    name: str
    title: str
    columns: list[Column]
    rows: list[list[Entry]]
    note: str = ""


class Drawing(NamedTuple):
    """A picture that is drawn into as many files as it is given, each in the format of its name. name: that of its files."""

    name: str
    title: str  # what it shows, for who does not see it
    draw: Callable[..., list[Path]]


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order. words: sentences, `**bold**` in them is. inner: smaller sections."""

    name: str  # a word: that of the link to it
    title: str
    words: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    inner: list["Section"] = field(default_factory=list)

    @property
    def all(self) -> list["Section"]:
        """It and what is in it."""
        return [self, *(section for inner in self.inner for section in inner.all)]


def words(text: str) -> Entry:
    """An entry that is no number."""
    return Entry(text)


def number(value: float | int, form: str = ",.0f") -> Entry:
    """A number as it is shown; nothing for NaN."""
    return Entry(format(value, form) if isfinite(value) else "", float(value))
