"""The folder of what can be computed again: decoded pictures and frozen outputs, shared by all processes of a machine.

A file begins with a line of JSON that says what it holds; then come the bytes, and nothing in it is ever run. What is
damaged or of something else is computed again. A folder that cannot be used is said once and is no error. Where a new file
would make the cache larger than it may be (`cache_size.py`), others go.
"""

import hashlib
import json
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from peftlab.inputs.cache_size import limit_bytes, taken, trim, use
from peftlab.inputs.plain import plain

HEAD = 4096  # bytes of the line, filled up with spaces
ENDING = ".peftlab"
OFF = "off"
DIGEST = 16

_said: set[str] = set()


def cache_folder() -> Path | None:
    """`$PEFTLAB_CACHE` (none if it is `off`), else `peftlab` in `$XDG_CACHE_HOME` or `~/.cache`."""
    given = os.environ.get("PEFTLAB_CACHE", "").strip()
    if given:
        return None if given.lower() == OFF else Path(given).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
    with suppress(RuntimeError):  # no home
        return Path(home).expanduser().absolute() / "peftlab"
    return None


def cached_files(folder: Path) -> list[Path]:
    """The files of the cache, and of nobody else, the unfinished ones included."""
    found = [*folder.glob(f"*/*{ENDING}"), *folder.glob(f"*/.*{ENDING}.*")]
    return sorted(file for file in found if file.is_file() and not file.is_symlink())


def load_bytes(kind: str, key: str) -> tuple[dict[str, Any], bytes] | None:
    """What `save_bytes` kept of this kind and key; None where there is nothing, or nothing whole."""
    file = _file(kind, key)
    if file is None:
        return None
    try:
        data = file.read_bytes()
    except OSError:
        return None
    head = _head(data[:HEAD])
    content = data[HEAD:]
    if head.get("key") != key or head.get("sha256") != hashlib.sha256(content).hexdigest():
        return None
    use(file)
    return head, content


def map_bytes(kind: str, key: str) -> tuple[dict[str, Any], np.ndarray] | None:
    """The same, mapped into memory, as bytes that cannot be written: what is not looked at takes none."""
    file = _file(kind, key)
    try:
        if file is None or file.stat().st_size <= HEAD:
            return None
        whole = np.memmap(file, dtype=np.uint8, mode="r")
    except OSError:
        return None
    head, content = _head(whole[:HEAD].tobytes()), whole[HEAD:]
    if head.get("key") != key or head.get("sha256") != hashlib.sha256(content.data).hexdigest():
        return None
    use(file)
    return head, content


def save_bytes(kind: str, key: str, content: bytes, **more: Any) -> None:
    """Keep some bytes, whole or not at all; `more` is what else their reader has to know."""
    file = _file(kind, key)
    if file is not None:
        head = {"kind": kind, "key": key, "sha256": hashlib.sha256(content).hexdigest(), **more}
        with suppress(OSError):
            _place(file, head, content)


class Rows:
    """Arrays of one shape by number, in a file that is mapped into memory.

    A row is there when its digest says so; writers write the same bytes, so they need no lock.
    """

    def __init__(self, file: Path, key: str, num_rows: int, shape: tuple[int, ...]) -> None:
        self._made_of = key, num_rows, shape
        self._size, start = int(np.prod(shape)), HEAD + num_rows * DIGEST
        self._secret = hashlib.sha256(key.encode()).digest()
        self._start, self._fd = start, os.open(file, os.O_RDWR)
        weakref.finalize(self, os.close, self._fd)  # __del__ of an interpreter that ends finds no os
        whole = np.memmap(file, dtype=np.uint8, mode="r", shape=(start + num_rows * self._size,))
        self._digests = whole[HEAD:start].reshape(num_rows, DIGEST)
        self.pixels: np.ndarray = whole[start:].reshape(num_rows, *shape)

    @classmethod
    def opened(cls, key: str, num_rows: int, shape: tuple[int, ...] | None) -> "Rows | None":
        """Those of a key, as far as there are any. Where there is no file one is made, for rows of this shape if one is given."""
        file = _file("rows", key)
        try:
            if file is None:
                return None
            there = _shape(file, key, num_rows)
            if there is None and shape is not None:
                size = HEAD + num_rows * (DIGEST + int(np.prod(shape)))
                head = {"kind": "rows", "key": key, "num_rows": num_rows, "shape": list(shape)}
                _place(file, head, b"", size)
                there = shape
            if there is None:
                return None
            use(file)
            return cls(file, key, num_rows, there)
        except OSError as error:
            _tell(error)
            return None

    def holds(self, row: int) -> bool:
        """Whether the row is there, and whole."""
        return self._digests[row].tobytes() == self._digest(row, self.pixels[row].tobytes())

    def put(self, row: int, pixels: np.ndarray) -> bool:
        """Write a row; false where that cannot be done."""
        data = pixels.tobytes()
        try:
            os.pwrite(self._fd, data, self._start + row * self._size)
            os.pwrite(self._fd, self._digest(row, data), HEAD + row * DIGEST)
        except OSError as error:
            _tell(error)
            return False
        return self.holds(row)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows.opened, self._made_of  # another process has other file descriptors

    def _digest(self, row: int, data: bytes) -> bytes:
        return hashlib.blake2b(
            data, digest_size=DIGEST, key=self._secret, salt=row.to_bytes(16, "little")
        ).digest()


def _shape(file: Path, key: str, num_rows: int) -> tuple[int, ...] | None:
    """Of the rows in a file; None for one that is not there, damaged, or of something else."""
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        head = _head(stream.read(HEAD))
    shape = head.get("shape")
    if head.get("key") != key or head.get("num_rows") != num_rows or not isinstance(shape, list):
        return None
    whole = HEAD + num_rows * (DIGEST + int(np.prod(shape)))
    return tuple(shape) if file.stat().st_size == whole else None


def _file(kind: str, key: str) -> Path | None:
    folder = cache_folder()
    return (
        None if folder is None else folder / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}{ENDING}"
    )


def _head(data: bytes) -> dict[str, Any]:
    try:
        head = json.loads(data)
    except ValueError:
        return {}
    return head if isinstance(head, dict) else {}


def _place(file: Path, head: dict[str, Any], content: bytes, size: int | None = None) -> None:
    """A file in one piece: the old one or the new one is seen. `size` leaves room behind, which takes no space."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            stream.write(json.dumps(head).encode().ljust(HEAD) + content)
            if size is not None:
                stream.truncate(size)
        os.replace(part, file)
        whole = HEAD + len(content) if size is None else size
        trim(cached_files(file.parents[1]), limit_bytes() - whole, file)
    except OSError as error:
        _tell(error)
        raise
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _tell(error: OSError) -> None:
    where = str(cache_folder())
    if where not in _said:
        _said.add(where)
        reason = error.strerror or error
        print(
            f"peftlab: the cache {plain(where)} cannot be used ({reason}), so what it would hold is computed in each process;"
            " legal: PEFTLAB_CACHE=FOLDER with room, or PEFTLAB_CACHE=off",
            file=sys.stderr,
        )


def sizes(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Of each kind how many files there are, and how many bytes they take on the disk."""
    files = cached_files(folder)
    for kind in sorted({file.parent.name for file in files}):
        own = [taken(file)[1] for file in files if file.parent.name == kind]
        yield kind, len(own), sum(own)
