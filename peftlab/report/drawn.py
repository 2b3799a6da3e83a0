"""Pictures and permutations are most of what a report costs: those that would show the same are not made again.

What was drawn of which numbers stands in an index beside the folders, which may be lost, damaged or old: then they are drawn.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from peftlab.record.code import code
from peftlab.record.json_file import json_text, read_json
from peftlab.record.whole_file import renew

FILE = ".drawn.json"
SOURCES = (Path(__file__).parent, *(Path(__file__).parents[1] / room for room in ("figure", "statistics")))


def drawn(folder: Path, shown: str, draw: Callable[[], list[Path]]) -> list[Path]:
    """The pictures of a report whose numbers are `shown`: those that `draw` has left, or what it makes now."""
    digest, found = _digest(shown), read_json(folder / FILE)
    files = found.get("files")
    if found.get("shown") == digest and isinstance(files, dict):
        paths = [folder / Path(str(name)).name for name in files]
        if all(_stamp(path) and _stamp(path) == files[path.name] for path in paths):
            return paths
    paths = draw()
    stamps = {path.name: _stamp(path) for path in paths}
    with suppress(OSError):
        renew(folder / FILE, json_text({"shown": digest, "files": stamps}))
    return paths


def _digest(shown: str) -> str:
    digest = hashlib.sha256(f"{code()['versions']}\0{shown}".encode(errors="surrogateescape"))
    for path in sorted(path for source in SOURCES for path in source.glob("*.py")):
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _stamp(path: Path) -> list[Any]:
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
