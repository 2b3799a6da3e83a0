"""Files that are there whole or not at all: the one writer of what another process may read."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place if nothing is raised: a reader sees the old file or the new."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield part
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):  # the disk is read-only: what was raised says so
            part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> Path:
    """A text file in one piece, with the line ends that `text` has."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return path
