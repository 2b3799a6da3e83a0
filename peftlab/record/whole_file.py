"""Files that are there whole or not at all: the one writer of what another process may read. And where none can be."""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from peftlab.errors import UserError

TOLD = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)  # by their words, too
NO_ROOM = (*TOLD, errno.EACCES, errno.EPERM)
WAY_OUT = "legal: a place with room that may be read and written"


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


def renew(path: Path, content: str | bytes) -> Path:
    """A file with this content: not touched if it has it, so that nothing needs to be written where nothing changed."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if path.read_bytes() == data:
            return path
    except FileNotFoundError:
        pass
    with whole_file(path) as part:
        part.write_bytes(data)
    return path


def check_place(path: Path, key: str) -> None:
    """That a file or folder can be made at `path`, which was given as `key`: answered before any work.

    Raises:
        UserError: if it cannot.
    """
    there = path.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir() and there != path.absolute():
        raise UserError(f"{key}={path} cannot be written: {there} is not a folder; {WAY_OUT}")
    folder = there if there.is_dir() else there.parent
    try:
        with TemporaryFile(dir=folder):  # the one answer that is true for every user and kind of disk
            pass
    except OSError as error:
        raise UserError(f"{key}={path} cannot be written: {folder}: {error.strerror}; {WAY_OUT}") from error


def refusal(error: Exception, where: Path) -> str | None:
    """The sentence of a wrong input, or of an error of the disk in whatever words a library puts it; None for any other error."""
    if isinstance(error, UserError):
        return str(error)
    told = (os.strerror(number) for number in TOLD)  # by a library that has errors of its own
    reason: str | None = next((words for words in told if words in str(error)), None)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where, reason = Path(os.fsdecode(error.filename2 or error.filename or where)), error.strerror
    return None if reason is None else f"{where} cannot be used ({reason}); {WAY_OUT}"
