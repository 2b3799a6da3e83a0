"""An index beside the folders of runs: lines that may be lost, damaged or old, and never the truth. Who reads one, checks."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from peftlab.record.json_file import json_text

ASKED = ".asked.jsonl"  # what a job was asked for -> the folder of its run
MAX_BYTES = 2**28


def note(path: Path, entry: dict[str, Any]) -> None:
    """Add a line. Several processes may; a place where nothing can be written has no index."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"\n{json_text(entry)}".encode())  # the line before may have been cut short
        finally:
            os.close(descriptor)


def noted(path: Path, key: str) -> dict[str, dict[str, Any]]:
    """The last line of each value of `key`; lines that cannot be read are none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        lines = path.read_bytes().splitlines()
    except OSError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            entry = json.loads(line) if line else None
            if isinstance(entry, dict) and isinstance(entry.get(key), str):
                found[entry[key]] = entry
    return found
