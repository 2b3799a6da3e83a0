"""A writer that no lock shows: where locks end at the host (NFS mounted with `local_lock` or `nolock`), one of another host is
known by its signs of life.
"""

import socket
import time
from pathlib import Path

from peftlab.errors import say
from peftlab.record.rows import FILE as ROWS
from peftlab.record.status import FILE, read_status

FRESH_S = 60.0  # what has written nothing for longer is not looked at: its host was lost, or its locks work
WATCH_S = 12.0  # two heartbeats, and some
EVERY_S = 0.2
_silent: set[tuple[str, int]] = set()  # processes of other hosts that were watched, and did not move


def writes_elsewhere(folder: Path) -> bool:
    """Whether a process of another host, by what it last said a moment ago, is at work in the folder still. May take WATCH_S."""
    said = read_status(folder)
    who = (str(said.get("host")), int(said.get("pid") or 0))
    if said.get("state") != "running" or who[0] == socket.gethostname() or who in _silent:
        return False
    signs = _signs(folder)
    if time.time() - max(signs) / 1e9 > FRESH_S:
        return False
    say(f"{folder}: process {who[1]} on {who[0]} wrote here a moment ago; is it there still? {WATCH_S:g} s")
    until = time.monotonic() + WATCH_S
    while time.monotonic() < until:
        if _signs(folder) != signs:
            return True
        time.sleep(EVERY_S)
    _silent.add(who)
    return False


def _signs(folder: Path) -> list[int]:
    """When the files of a run that lives changed last, in ns."""
    found = []
    for name in (FILE, ROWS):
        try:
            found.append((folder / name).stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return found
