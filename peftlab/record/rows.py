"""metrics.jsonl: one row per step. Where it ended at a save, and back to there."""

import hashlib
import os
from pathlib import Path
from typing import TypedDict

from peftlab.errors import UserError

FILE = "metrics.jsonl"


class Mark(TypedDict):
    """The file up to a place in it: its length in bytes and their sha256."""

    size: int
    sha256: str


def mark(folder: Path) -> Mark:
    """The end of the file as it is."""
    path = folder / FILE
    content = path.read_bytes() if path.is_file() else b""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def rewind(folder: Path, to: Mark | None) -> None:
    """Drop what came after the mark, a line that a kill cut short with it; None drops all.

    Raises:
        UserError: as `check_rows`.
    """
    check_rows(folder, to)
    if to is None:
        (folder / FILE).write_bytes(b"")
    else:
        os.truncate(folder / FILE, to["size"]) if to["size"] else (folder / FILE).write_bytes(b"")


def check_rows(folder: Path, to: Mark | None) -> None:
    """That the file is what it was up to the mark.

    Raises:
        UserError: if it is not.
    """
    path = folder / FILE
    if to is None:
        return
    content = path.read_bytes()[: to["size"]] if path.is_file() else b""
    if len(content) < to["size"] or hashlib.sha256(content).hexdigest() != to["sha256"]:
        raise UserError(
            f"{path} has lost rows, or they were changed, since last/state.pt was saved; legal: resume=false, which starts"
            " over"
        )
