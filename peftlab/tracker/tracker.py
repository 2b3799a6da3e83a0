"""What every tracker can do, and the promise that none of them ends a run."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

Scalar = float | int | str | bool | None
MAX_ROWS = 10_000  # of a table; more rows nobody looks at


class Series(NamedTuple):
    """Numbers that are logged over time: `val/mean_acc`, or all of `val/*`.

    `axis` is the logged number that they are drawn over. `keep` is what stands for them where one number is wanted.
    """

    name: str
    axis: str | None
    keep: tuple[Literal["last", "max"], ...] = ()


@dataclass(frozen=True)
class Opening:
    """What a tracker is told at the start. Who opens `run_id` again goes on with it.

    `kind` is run, supernet for the first stage of placement=noah, or report for that of a sweep; `group` is the sweep.
    """

    run_id: str
    name: str
    group: str | None
    kind: Literal["run", "supernet", "report"]
    tags: tuple[str, ...]
    config: dict[str, Any]
    folder: Path
    series: tuple[Series, ...] = ()


@runtime_checkable
class Tracker(Protocol):
    """A mirror of a record. It may fail in any of its calls, and is used through `Safe`."""

    def start(self, opening: Opening) -> None:
        """Open a run, or go on with it."""

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """Scalars of one step."""

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        """A table."""

    def image(self, name: str, picture: AbstractContextManager[Path], *, step: int) -> None:
        """A picture: entering it draws the file, leaving it may remove that."""

    def page(self, name: str, path: Path, *, step: int) -> None:
        """An HTML file that needs no other file."""

    def finish(self, summary: dict[str, Scalar], *, exit_code: int) -> None:
        """Final numbers and how the run ended."""


class Safe:
    """A tracker whose failures end no run: the first is told in one line on stderr, and the run goes on.

    What could not be started is left alone from then on.
    """

    def __init__(self, make: Callable[[], Tracker], name: str) -> None:
        self._make, self._name = make, name
        self._tracker: Tracker | None = None
        self._told = False

    def start(self, opening: Opening) -> None:
        """Make the tracker and open the run."""

        def call() -> None:
            tracker = self._make()
            tracker.start(opening)
            self._tracker = tracker

        self._try("start", call)

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """Scalars of one step."""
        self._call("log", scalars, step=step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        """A table."""
        self._call("table", name, columns, rows, step=step)

    def image(self, name: str, picture: AbstractContextManager[Path], *, step: int) -> None:
        """A picture."""
        self._call("image", name, picture, step=step)

    def page(self, name: str, path: Path, *, step: int) -> None:
        """A page."""
        self._call("page", name, path, step=step)

    def finish(self, summary: dict[str, Scalar], *, exit_code: int) -> None:
        """Final numbers and how the run ended."""
        self._call("finish", summary, exit_code=exit_code)
        self._tracker = None

    def _call(self, name: str, *values: Any, **keywords: Any) -> None:
        if self._tracker is not None:
            self._try(name, lambda: getattr(self._tracker, name)(*values, **keywords))

    def _try(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            if not self._told:
                tell(self._name, f"{name}: {one_line(error)}; the run goes on without it")
            self._told = True


def one_line(error: Exception) -> str:
    """The kind of an error and the first of what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def tell(tracker: str, text: str) -> None:
    """One line on stderr, if that can still be written to."""
    with suppress(OSError, ValueError):  # full; closed
        print(f"warning: {tracker}: {text}", file=sys.stderr, flush=True)
