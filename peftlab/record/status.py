"""status.json: which state a run is in, and who was at work on it last; whether somebody still is, the lock says."""

from pathlib import Path
from typing import Any, NamedTuple

from peftlab.record.json_file import read_json
from peftlab.record.rows import FILE as ROWS

FILE = "status.json"
DONE = ("ok", "diverged")
STOPPED = "stopped"  # at the epoch that fit.stop_after asked for, to go on from there
STATES = (*DONE, STOPPED, "failed", "interrupted", "running")


class Attempt(NamedTuple):
    """A start of the run: its number from 1, and the seconds of those before it."""

    number: int
    before_s: float


def read_status(folder: Path) -> dict[str, Any]:
    """What the run of this folder last said of itself; {} if it says nothing that can be read."""
    return read_json(folder / FILE)


def stopped_after(status: dict[str, Any]) -> int | None:
    """The epoch after which fit.stop_after has stopped a run; None of one in another state."""
    epoch = status.get("epoch")
    return epoch if status.get("state") == STOPPED and isinstance(epoch, int) else None


def next_attempt(folder: Path) -> Attempt:
    """The attempt after the one that status.json tells of. One that was killed lasted until its last row."""
    said = read_status(folder)
    number, before_s = said.get("attempt", 1 if said else 0), said.get("wall_s")
    before_s = max(0.0, float(before_s)) if isinstance(before_s, int | float) else 0.0
    if said.get("state") == "running" and (folder / ROWS).is_file():
        before_s += max(0.0, (folder / ROWS).stat().st_mtime - (folder / FILE).stat().st_mtime)
    return Attempt((number if isinstance(number, int) else 0) + 1, before_s)
