"""status.json: which state a run is in, and who was at work on it last; whether somebody still is, the lock says."""

from pathlib import Path
from typing import Any

from peftlab.record.json_file import read_json

FILE = "status.json"
DONE = ("ok", "diverged")
STATES = (*DONE, "failed", "interrupted", "running")


def read_status(folder: Path) -> dict[str, Any]:
    """What the run of this folder last said of itself; {} if it says nothing that can be read."""
    return read_json(folder / FILE)
