"""Several trackers at once: each is told everything, and none of them knows of the others."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from peftlab.tracker.tracker import Opening, Safe, Scalar, Tracker


class Several:
    """wandb, trackio: the nodes of these trackers. A failure of one is told by its own name, and the other has its call."""

    def __init__(self, *, wandb: Callable[[], Tracker], trackio: Callable[[], Tracker]) -> None:
        self._all = [Safe(wandb, "wandb"), Safe(trackio, "trackio")]

    def start(self, opening: Opening) -> None:
        """Open a run in each."""
        for tracker in self._all:
            tracker.start(opening)

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """Scalars of one step."""
        for tracker in self._all:
            tracker.log(scalars, step=step)

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        """A table."""
        for tracker in self._all:
            tracker.table(name, columns, rows, step=step)

    def image(self, name: str, picture: AbstractContextManager[Path], *, step: int) -> None:
        """A picture, which is drawn once."""
        with picture as path:
            for tracker in self._all:
                tracker.image(name, nullcontext(path), step=step)

    def page(self, name: str, path: Path, *, step: int) -> None:
        """A page."""
        for tracker in self._all:
            tracker.page(name, path, step=step)

    def finish(self, summary: dict[str, Scalar], *, exit_code: int) -> None:
        """Final numbers and how the run ended."""
        for tracker in self._all:
            tracker.finish(summary, exit_code=exit_code)
