"""No tracker: the run folder is the record."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from peftlab.tracker.tracker import Opening, Scalar


class NoTracker:
    """Takes every call of a tracker and does nothing; no picture is drawn for it."""

    def start(self, opening: Opening) -> None:
        """Nothing."""

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """Nothing."""

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        """Nothing."""

    def image(self, name: str, picture: AbstractContextManager[Path], *, step: int) -> None:
        """Nothing."""

    def page(self, name: str, path: Path, *, step: int) -> None:
        """Nothing."""

    def finish(self, summary: dict[str, Scalar], *, exit_code: int) -> None:
        """Nothing."""
