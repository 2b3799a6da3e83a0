"""What every tracker can do."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """A mirror of a run's record. Nothing that happens in it may end a run."""

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
        """Open the run `run_id`, or go on with it."""

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        """Scalars of one step."""

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> None:
        """A table."""

    def image(self, name: str, path: Path) -> None:
        """A PNG."""

    def finish(self, summary: dict[str, float | int | str], *, exit_code: int) -> None:
        """Final numbers and how the run ended."""
