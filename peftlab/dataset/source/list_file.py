"""Published lists of a split: `path label` in each line of a text file, or {"path": label} in a .json file."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from peftlab.dataset.source.link import is_inside
from peftlab.errors import MissingData, UserError
from peftlab.inputs.plain import plain

Label = int | str
WHOLE = re.compile(r"-?[0-9]+")


class Listed(NamedTuple):
    """A list: for each item its path as it stands there, its label, and its line (from 1; its place in a .json file).

    `part` is what the list is called in a file that holds several.
    """

    file: Path
    paths: list[str]
    labels: list[Label]
    lines: list[int]
    part: str = ""

    def item(self, row: int) -> str:
        """Where an item stands, for people."""
        noun = "entry" if self.file.suffix.lower() == ".json" else "line"
        return f"{noun} {self.lines[row]} of {f'{self.part} in ' * bool(self.part)}{plain(str(self.file))}"


def read_list(root: Path, name: str, key: str, bounds: Path) -> Listed:
    """The list `root/name`, which the option `key` names.

    Raises:
        UserError: for a file that is missing, empty, leads out of `bounds` or cannot be read, and for a line that is no item.
    """
    file = root / name
    text = text_of(file, f"dataset.source.{key}={name}", bounds)
    items = list(_entries(file, text) if file.suffix.lower() == ".json" else _lines(file, text))
    if not items:
        raise UserError(f"{_said(file)} has no item; legal: a path and a label in each line")
    lines, paths, labels = zip(*items, strict=True)
    return Listed(file, list(paths), list(labels), list(lines))


def text_of(file: Path, option: str, bounds: Path) -> str:
    """The text of a file that `option` names.

    Raises:
        UserError: for a file that is missing, leads out of `bounds` or cannot be read.
    """
    if not is_inside(file, bounds):
        raise UserError(
            f"{option} leads out of {plain(str(bounds))}; legal: a file inside it, or, if you made the link,"
            " dataset.source.follow_links=true"
        )
    try:
        return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError as error:
        raise MissingData(
            f"{option}: there is no file {plain(str(file))}; legal: a file that exists"
        ) from error
    except OSError as error:
        raise UserError(
            f"{option}: {plain(str(file))} cannot be read ({error.strerror}); legal: a text file"
        ) from error


def _lines(file: Path, text: str) -> Iterator[tuple[int, str, Label]]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.rsplit(maxsplit=1)
        if len(words) == 1:
            raise UserError(
                f"{_said(file)} has {plain(line.strip())!r} in line {number}, which is no item; legal: a path and a label"
            )
        if words:
            path, label = words
            yield number, path.strip(), int(label) if WHOLE.fullmatch(label) else label


def _entries(file: Path, text: str) -> Iterator[tuple[int, str, Label]]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{_said(file)} is no JSON ({error}); legal: {{path: label, ...}}") from error
    if not isinstance(found, dict):
        raise UserError(f"{_said(file)} holds no mapping; legal: {{path: label, ...}}")
    for number, (path, label) in enumerate(found.items(), 1):
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise UserError(
                f"{_said(file)} has the label {plain(str(label))} in entry {number}; legal: a whole number or a word"
            )
        yield number, path, label


def _said(file: Path) -> str:
    return f"the list {plain(str(file))}"
