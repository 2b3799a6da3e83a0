"""Removing runs and sweeps: by name what a run of ours wrote, never what else lies there, and never a run that is being written."""

from pathlib import Path
from typing import NamedTuple

from peftlab.record.folder import clear, is_ours
from peftlab.record.index import ASKED
from peftlab.record.lock import Lock, is_locked
from peftlab.report.drawn import FILE as DRAWN
from peftlab.report.own import FIRST, PICTURES, check_own


class Removed(NamedTuple):
    """Whether the run is gone, and what is left of its folder or why nothing was removed."""

    is_gone: bool
    why: str


def refusal(folder: Path) -> str | None:
    """Why a folder may not be removed; None if it may."""
    if folder.is_symlink():
        return "a link"
    if not is_ours(folder):
        return "not recognisably a run of peftlab"
    return "a process is writing it" if is_locked(folder) else None


def remove(folder: Path) -> Removed:
    """Remove what a run wrote, under the lock of its folder; the folder goes if nothing else is in it."""
    if (why := refusal(folder)) is not None:
        return Removed(False, why)
    lock = Lock(folder)
    if not lock.take():
        return Removed(False, "a process is writing it")
    try:
        clear(folder)
        (folder / ".lock").unlink(missing_ok=True)
        left = sorted(path.name for path in folder.iterdir())
        if not left:
            folder.rmdir()
    finally:
        lock.release()
    return Removed(True, f"left in it: {', '.join(left)}" if left else "")


def remove_report(folder: Path) -> bool:
    """Whether a sweep's folder is gone too: its report is removed when none of its runs is left, and then the folder."""
    if folder.is_symlink() or not folder.is_dir() or any(path.is_dir() for path in folder.iterdir()):
        return False
    check_own(folder)
    ours = [folder / name for name in (*FIRST, "multirun.yaml", ASKED, DRAWN)]
    for path in [*ours, *(path for pattern in PICTURES for path in folder.glob(pattern))]:
        if path.is_file() and not path.is_symlink():
            path.unlink()
    if any(folder.iterdir()):
        return False
    folder.rmdir()
    return True
