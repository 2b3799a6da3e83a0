"""How large the cache may become, and what goes when it would be larger: what was not used for the longest."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from peftlab.inputs.plain import plain

DEFAULT_GB = 50.0
_said: set[str] = set()


def limit_bytes() -> float:
    """`$PEFTLAB_CACHE_GB` in bytes, by default 50 GiB, and so for a value that is no number above 0, which is said once."""
    given = os.environ.get("PEFTLAB_CACHE_GB", "").strip()
    try:
        value = float(given) if given else DEFAULT_GB
    except ValueError:
        value = 0.0
    if value > 0:
        return value * 2**30
    if given not in _said:
        _said.add(given)
        said = f"PEFTLAB_CACHE_GB={plain(given)} is not legal, so it is {DEFAULT_GB:g}; legal: GiB, a number above 0"
        print(f"peftlab: {said}", file=sys.stderr)
    return DEFAULT_GB * 2**30


def taken(file: Path) -> tuple[float, int]:
    """When a file was last used, in seconds since 1970, and the bytes that it takes on the disk; 0 for one that is gone."""
    try:
        stat = file.stat()
    except OSError:
        return 0.0, 0
    return stat.st_mtime, getattr(stat, "st_blocks", -(-stat.st_size // 512)) * 512


def use(file: Path) -> None:
    """Note that a file is used now. The system's own time of access is switched off in many places."""
    with suppress(OSError):
        os.utime(file)


def trim(files: Iterable[Path], room: float, keep: Path) -> None:
    """Remove files until the others take no more than `room` bytes; `keep` is not looked at.

    Who reads or maps a file at this moment keeps it to his end: its name goes, and its bytes when the last reader does.
    """
    known = sorted((*taken(file), file) for file in files if file != keep)
    total = sum(size for _, size, _ in known)
    for _, size, file in known:
        if total <= room:
            return
        with suppress(OSError):
            file.unlink()
        total -= size
