"""What a person sees of the workers: a live table on a terminal, a line for each job that ends elsewhere."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from peftlab.record.rows import FILE as ROWS
from peftlab.record.status import read_status

TAIL = 65_536  # bytes of metrics.jsonl that are read for its last rows


class Shown(NamedTuple):
    """A worker: where it computes, and the folder of its run."""

    device: str
    folder: Path


class Table:
    """The state of a sweep of `total` jobs. Reads the folders of the runs, and no more than the end of their rows."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._began = time.monotonic()
        self._live: Any = None

    def __enter__(self) -> "Table":
        from rich.console import Console

        console = Console()
        if console.is_terminal:
            from rich.live import Live

            self._live = Live(console=console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, workers: list[Shown]) -> None:
        """Draw the table again, where there is a terminal."""
        if self._live is None:
            return
        from rich.table import Table as Rich

        table = Rich(title=self._line(), title_justify="left")
        for name in ("device", "job", "state", "epoch", "loss", "val"):
            table.add_column(name)
        for worker in workers:
            table.add_row(worker.device, worker.folder.name, *moment(worker.folder))
        self._live.update(table, refresh=True)

    def ended(self, folder: Path) -> None:
        """A job has ended."""
        self.done += 1
        if self._live is None:
            state, epoch, loss, val = moment(folder)
            said = ", ".join(
                f"{name} {value}" for name, value in (("epoch", epoch), ("loss", loss), ("val", val)) if value
            )
            print(f"{self._line()}: {folder.name} {state}{said and f' ({said})'}", flush=True)

    def _line(self) -> str:
        passed = time.monotonic() - self._began
        left = passed * (self.total - self.done) / self.done if self.done else None
        told = "" if left is None else f", about {timedelta(seconds=round(left))} left"
        return f"{self.done} of {self.total} jobs{told}"


def moment(folder: Path) -> tuple[str, str, str, str]:
    """State, epoch, loss and the first metric of validation of a run, as far as it has said them."""
    rows = _last_rows(folder / ROWS)
    found: dict[str, Any] = {}
    for row in rows:
        found |= row
    val = next((value for key, value in found.items() if key.startswith("val/")), None)
    numbers = (
        "" if not isinstance(value, int | float) else form.format(value)
        for value, form in (
            (found.get("epoch"), "{:.2f}"),
            (found.get("train/loss"), "{:.4f}"),
            (val, "{:.3f}"),
        )
    )
    epoch, loss, shown = numbers
    return str(read_status(folder).get("state", "starting")), epoch, loss, shown


def _last_rows(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # cut at either end
            continue
        rows += [row] if isinstance(row, dict) else []
    return rows
