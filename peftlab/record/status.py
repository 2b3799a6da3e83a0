"""status.json: which state a run is in, and who is at work on it."""

import os
import socket
from pathlib import Path
from typing import Any

from peftlab.record.json_file import read_json

FILE = "status.json"
DONE = ("ok", "diverged")
STATES = (*DONE, "failed", "interrupted", "running")


def read_status(folder: Path) -> dict[str, Any]:
    """What the run of this folder last said of itself; {} if it says nothing that can be read."""
    return read_json(folder / FILE)


def is_busy(status: dict[str, Any]) -> bool:
    """Whether another process of this machine is at work on the run; a reused pid is told by its start time."""
    if status.get("state") != "running":
        return False
    if status.get("host") != socket.gethostname() or status.get("pid") == os.getpid():
        return False
    import psutil

    try:
        return psutil.Process(int(status["pid"])).create_time() <= float(status["started"]) + 1
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
