"""status.json: which state a run is in, and who was at work on it last; whether somebody still is, the lock says."""

from pathlib import Path
from typing import Any

from peftlab.record.json_file import read_json

FILE = "status.json"
DONE = ("ok", "diverged")
STOPPED = "stopped"  # at the epoch that fit.stop_after asked for, to go on from there
STATES = (*DONE, STOPPED, "failed", "interrupted", "running")


def read_status(folder: Path) -> dict[str, Any]:
    """What the run of this folder last said of itself; {} if it says nothing that can be read."""
    return read_json(folder / FILE)


def stopped_after(status: dict[str, Any]) -> int | None:
    """The epoch after which fit.stop_after has stopped a run; None of one in another state."""
    epoch = status.get("epoch")
    return epoch if status.get("state") == STOPPED and isinstance(epoch, int) else None
