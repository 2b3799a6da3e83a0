"""A sweep while it runs, read from its folder: what any machine that sees the folder can know of it."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import OmegaConf

from peftlab.config.multirun import planned_words
from peftlab.inputs.plain import plain
from peftlab.record.lock import is_locked
from peftlab.record.status import DONE, FILE, read_status
from peftlab.report.job import job_folders, number

SILENT_S = 300.0  # without a heartbeat: longer than the longest validation that people have
SILENT, KILLED = "silent", "killed"


@dataclass(frozen=True)
class Seen:
    """One run: `state` is that of status.json, or `silent` (it says running, and nothing for long) or `killed` (it says
    running on this machine, and no process writes it). `age_s`: since its last word.
    """

    name: str
    state: str
    beat: dict[str, Any]
    age_s: float
    wall_s: float
    who: str


@dataclass(frozen=True)
class Watched:
    """A sweep at one moment; `planned` are the jobs of its last command, 0 where that is not known."""

    runs: list[Seen]
    planned: int
    count: Counter[str] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """Jobs that nobody has begun, or that are to be begun again."""
        return max(self.planned - len(self.runs), 0) + sum(
            self.count[state] for state in ("interrupted", KILLED)
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing runs, and nothing is left that a command would begin."""
        return not self.left and not any(self.count[state] for state in ("running", SILENT))

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end if as many run side by side as do now; None where nothing says it."""
        running = [run for run in self.runs if run.state == "running"]
        own = [number(run.beat.get("eta_s")) for run in running]
        done = [run.wall_s for run in self.runs if run.state in DONE and run.wall_s == run.wall_s]
        known = [eta for eta in own if eta == eta]
        if not running or (self.left and not done):
            return None
        waiting = self.left * fmean(done) if self.left else 0.0
        return (sum(known) + waiting) / len(running) if known or waiting else None


class Ages:
    """How old the last word of each run is, in seconds: by the clock, and for as long as somebody looks without it.

    The clock of the run's machine may be another one, and any clock can be set back: a word that seems to come from the
    future is as old as it has been seen unchanged.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, float]] = {}  # when the file changed, and when that was first seen

    def of(self, path: Path) -> float:
        """Of the status.json of a run; 0 of one that is not there."""
        try:
            changed = (path / FILE).stat().st_mtime_ns
        except OSError:
            return 0.0
        now = time.monotonic()
        before, since = self._seen.get(path, (None, now))
        if before != changed:
            since = now
        self._seen[path] = (changed, since)
        return max(now - since, time.time() - changed / 1e9)


def watched(folder: Path, silent_s: float = SILENT_S, ages: Ages | None = None) -> Watched:
    """What the folder of a sweep says now; `ages` are those of an earlier look."""
    found = ages or Ages()
    runs = [_seen(path, silent_s, found) for path in sorted(job_folders(folder))]
    return Watched(runs, _planned(folder), Counter(run.state for run in runs))


def _seen(path: Path, silent_s: float, ages: Ages) -> Seen:
    said, age = read_status(path), ages.of(path)
    state = str(said.get("state")) if said else "missing"
    if state == "running" and said.get("host") == socket.gethostname() and not is_locked(path):
        state = KILLED
    elif state == "running" and age > silent_s:
        state = SILENT
    beat = said.get("beat")
    who = f"{said.get('host')}, process {said.get('pid')}" if "pid" in said else ""
    return Seen(
        path.name, state, beat if isinstance(beat, dict) else {}, age, number(said.get("wall_s")), who
    )


def _planned(folder: Path) -> int:
    """The number of jobs of the command that multirun.yaml tells of; 0 where it does not."""
    try:
        config: Any = OmegaConf.load(folder / "multirun.yaml")
        return len(planned_words(config))
    except Exception:  # absent, half of it, another program's: a person gets the table without it
        return 0


def lines(found: Watched) -> Iterator[str]:
    """The table as text: a line for each run that is at work or is not as it should be, and one for the sweep."""
    rows = [("run", "state", "epoch", "loss", "val", "left", "last word", "who")]
    for run in found.runs:
        if run.state in ("running", SILENT, KILLED, "interrupted"):
            beat = run.beat
            epoch = f"{number(beat.get('epoch')):.1f}/{beat.get('epochs')}" if "epoch" in beat else ""
            values = (_short(beat.get("loss")), _short(beat.get("val")), _time(number(beat.get("eta_s"))))
            rows.append((run.name, run.state, epoch, *values, f"{_time(run.age_s)} ago", run.who))
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield plain(
                "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
    for run in found.runs:
        if run.state == SILENT:
            yield plain(
                f"{run.name}: no word for {_time(run.age_s)}; it was {run.who}: look whether it lives"
            )
    parts = [f"{number} {state}" for state, number in sorted(found.count.items())]
    waiting = max(found.planned - len(found.runs), 0)
    total = max(found.planned, len(found.runs))
    eta = found.eta_s
    yield f"{total} runs: {', '.join([*parts, *([f'{waiting} not begun'] if waiting else [])])}" + (
        f"; about {_time(eta)} left" if eta is not None else ""
    )


def _short(value: Any) -> str:
    return f"{number(value):.4g}" if number(value) == number(value) else ""


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))) if seconds == seconds else ""
