"""What a file or a folder holds, as a hash, and as something that costs less to compare."""

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

MAX_HASHED_BYTES = 2**30  # of a folder; above, names and sizes must do: reading takes longer than people wait


class Content(NamedTuple):
    """`sha256` of all bytes and names, `size` in bytes, `stamp`: a hash of names, sizes and times of change."""

    sha256: str
    size: int
    stamp: str


def content_of(path: Path) -> Content:
    """The content of a file or a folder, read once per process as long as its stamp stays.

    Raises:
        OSError: if it cannot be read.
    """
    stamp, size = stamp_of(path)
    return Content(_sha256(path.resolve(), stamp, size), size, stamp)


def stamp_of(path: Path) -> tuple[str, int]:
    """The stamp and the size, without reading a byte of it. Equal stamps mean equal content; unequal ones, nothing."""
    digest, total = hashlib.sha256(), 0
    for name, found in _files(path):
        digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode(errors="surrogateescape"))
        total += found.st_size
    return digest.hexdigest(), total


def is_content(path: Path, saved: dict[str, Any]) -> bool:
    """Whether a path still holds what was saved of it as a `Content`."""
    return stamp_of(path)[0] == saved.get("stamp") or content_of(path).sha256 == saved.get("sha256")


def file_sha256(path: Path) -> str:
    """sha256 of one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _sha256(path: Path, stamp: str, size: int) -> str:
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for name, found in _files(path):
        content = file_sha256(path / name) if size <= MAX_HASHED_BYTES else found.st_size
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file with its name below `path`, in the order of the names; what is hidden is no data."""
    found = path.stat()
    if stat.S_ISREG(found.st_mode):
        yield "", found
        return
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            file = os.path.join(folder, name)
            if os.path.isfile(file):
                yield os.path.relpath(file, path), os.stat(file)
