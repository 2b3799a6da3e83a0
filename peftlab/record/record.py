"""The folder of one run (its promises: `folder.py`). Every file is written whole or not at all, and under the folder's lock."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from peftlab.errors import UserError
from peftlab.record.elsewhere import writes_elsewhere
from peftlab.record.folder import check_ours, clear, clear_parts
from peftlab.record.json_file import json_text, read_json
from peftlab.record.lock import Lock, is_locked
from peftlab.record.rows import FILE as ROWS
from peftlab.record.rows import Mark, mark, rewind
from peftlab.record.status import DONE, FILE, Attempt, next_attempt, read_status, stopped_after
from peftlab.record.whole import lost_file
from peftlab.record.whole_file import check_place, write_whole


class Identity(Protocol):
    """What a run is (`peftlab.config.identity`)."""

    @property
    def saved(self) -> dict[str, Any]:
        """What is written down of it."""

    def check(self, folder: Path, saved: Mapping[str, Any]) -> None:
        """Raises UserError if the run in `folder` is another one."""


class Record:
    """status.json, config.yaml, metrics.jsonl, result.json of a run folder.

    `look` reads, `take` takes the lock, `status` and what follows write. Nothing is written without the lock: a call that
    writes takes it, and raises if another process has it.
    """

    def __init__(
        self,
        folder: Path,
        choices: dict[str, str],
        config: dict[str, Any],
        number: int | None = None,
        flat: dict[str, Any] | None = None,
    ) -> None:
        self.folder, self.choices, self.config, self.number = folder, choices, config, number
        self.flat = flat or {}  # of peftlab.config.summary
        self.begin()
        self.identity: Identity | None = None
        self.made: list[Path] = []  # folders that were not there before
        self.has_begun = False  # whether this process has said that it runs
        self.attempt = Attempt(1, 0.0)
        self._lock = Lock(folder)

    @property
    def wall_s(self) -> float:
        """Seconds of all attempts."""
        return self.attempt.before_s + time.monotonic() - self._since

    def begin(self) -> None:
        """The time of this attempt begins: by a clock for people, and by one that nobody sets."""
        self.started, self._since = time.time(), time.monotonic()

    def look(self, resume: bool, until: int | None = None, *, tell: bool = True) -> bool:
        """Whether this run is finished already, or has stopped after epoch `until` or a later one. Nothing is written.

        `tell`: say so on stderr.

        Raises:
            UserError: if the folder is no run's or another run's, or a process is writing it.
        """
        check_ours(self.folder)
        if not self.folder.is_dir():
            return False
        if not self._lock.is_held and is_locked(self.folder):
            raise UserError(self._busy())
        if not resume:
            check_place(self.folder, "hydra.run.dir")
            return False
        status, result = read_status(self.folder), self.read("result.json")
        if self.identity is not None and (result or (self.folder / "last").exists()):
            self.identity.check(self.folder, status.get("identity") or result.get("identity") or {})
        if status.get("state") not in DONE or not result:
            epoch = stopped_after(status)
            if until is not None and epoch is not None and epoch >= until:
                print(f"{self.folder}: stopped before, after epoch {epoch}", file=sys.stderr)
                return True
            check_place(self.folder, "hydra.run.dir")
            return False
        lost = lost_file(self.folder, result)
        if not tell:
            return lost is None
        if lost is None:
            said = f"finished before ({status['state']}); resume=false runs it again"
            print(f"{self.folder}: {said}", file=sys.stderr)
        elif not self._lock.is_held:
            print(f"{self.folder}: {lost} is not as the run left it; it is made again", file=sys.stderr)
        return lost is None

    def take(self, resume: bool) -> bool:
        """Take the lock, look again, and with `resume` false remove what an earlier run left. Whether it is finished.

        Raises:
            UserError: as `look`.
        """
        if self._lock.is_held:
            return False
        self._hold()
        is_finished = True
        try:
            if writes_elsewhere(self.folder):
                raise UserError(self._busy())
            is_finished = self.look(resume)
        finally:
            if is_finished:  # or refused
                self.release()
        if is_finished:
            return True
        if resume:
            clear_parts(self.folder)
            self.attempt = next_attempt(self.folder)
        else:
            clear(self.folder)
        return False

    def release(self) -> None:
        """Another process may write now."""
        self._lock.release()
        self.has_begun = False

    def status(self, state: str, **more: Any) -> None:
        """`state` is one of `status.STATES`."""
        fixed = {
            "state": state,
            "name": self.folder.name,
            "number": self.number,
            "choices": self.choices,
            "seed": self.config.get("seed"),
            "flat": self.flat,
            "identity": None if self.identity is None or state == "failed" else self.identity.saved,
        }
        where = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self.started,
            "attempt": self.attempt.number,
            "wall_s": round(self.wall_s, 3),
        }
        self.write(FILE, {**fixed, "error": None, "traceback": None, **where, **more})
        self.has_begun = state == "running"

    def fail(self, error: str, trace: str | None = None, *, of_machine: bool = False) -> bool:
        """Say that the run ended with an error, which may be of the machine and not of the run, and whether that could be said.

        What has not begun is said of an empty folder or one that failed before, and of no other: there is another
        process, another run, or one to go on with.
        """
        try:
            if not self.has_begun:
                check_ours(self.folder)
                self._hold()
                if read_status(self.folder).get("state") not in (None, "failed"):
                    return False
            self.status("failed", error=error, traceback=trace, of_machine=of_machine)
        except (UserError, OSError):
            return False
        return True

    def discard(self) -> None:
        """Remove the folders that were made for this run and are empty: a wrong input leaves no trace."""
        for path in sorted(self.made, key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):  # it holds something
                path.rmdir()

    def interrupt(self) -> None:
        """Say that the run was stopped, if it has begun."""
        if self.has_begun:
            with contextlib.suppress(OSError):
                self.status("interrupted")

    def write(self, name: str, value: Any) -> None:
        """`value` as JSON, atomically; a number that is not finite becomes null."""
        self.write_text(name, json_text(value, indent=1))

    def write_text(self, name: str, text: str) -> None:
        """A text file, atomically."""
        self._hold()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file, or {} if it is absent or not readable as one."""
        return read_json(self.folder / name)

    def append(self, row: dict[str, Any]) -> None:
        """One line of metrics.jsonl, with the number of the attempt."""
        self._hold()
        with (self.folder / ROWS).open("a", encoding="utf-8") as file:
            file.write(json_text({**row, "attempt": self.attempt.number}))

    def mark(self) -> Mark:
        """Where metrics.jsonl ends now."""
        return mark(self.folder)

    def rewind(self, to: Mark | None) -> None:
        """Drop the rows of metrics.jsonl that came after a mark; None: all.

        Raises:
            UserError: if what should stand before the mark does not.
        """
        self._hold()
        rewind(self.folder, to)

    def _hold(self) -> None:
        if not self._lock.is_held:
            self.made += missing(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._lock.take():
                raise UserError(self._busy())

    def _busy(self) -> str:
        status = read_status(self.folder)
        who = (
            f"process {status['pid']} on {status['host']}"
            if {"pid", "host"} <= status.keys()
            else "a process"
        )
        return f"{self.folder} is being written by {who}; wait for it or stop it"


def missing(folder: Path) -> list[Path]:
    """The folders, this one and above, that are not there yet."""
    return [path for path in (folder, *folder.parents) if not path.exists()]
