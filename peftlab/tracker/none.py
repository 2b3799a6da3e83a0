"""No tracker: the run folder is the record."""

from pathlib import Path
from typing import Any


class NoTracker:
    """Takes every call of a tracker and does nothing."""

    def start(
        self,
        *,
        run_id: str,
        name: str,
        group: str | None,
        tags: list[str],
        config: dict[str, Any],
        folder: Path,
    ) -> None:
        """Nothing."""

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """Nothing."""

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Nothing."""

    def image(self, name: str, path: Path) -> None:
        """Nothing."""

    def finish(self, summary: dict[str, float | int | str], *, exit_code: int) -> None:
        """Nothing."""
