"""A run between its steps, and what is printed of it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

SMALL = ("backbone=tiny", "dataset=digits_lt", "device=cpu", "fit.epochs=3", "fit.batch_size=64")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is printed goes to a wide console that remembers it: its lines since the last call (all with `clear=False`)."""
    from peftlab.run import show

    monkeypatch.setattr(show, "console", Console(width=200, record=True, file=io.StringIO()))

    def lines(clear: bool = True) -> list[str]:
        return show.console.export_text(clear=clear).splitlines()

    return lines


class Mirror:
    """A tracker that remembers its calls."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.tables: dict[str, list[list[Any]]] = {}
        self.images: dict[str, list[tuple[int, bytes]]] = {}

    def start(self, opening: Any) -> None:
        self.started.append(opening)

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        self.logged.append((step, scalars))

    def table(self, name: str, columns: list[str], rows: list[list[Any]], *, step: int) -> None:
        self.tables[name] = [columns, *rows]

    def image(self, name: str, picture: Any, *, step: int) -> None:
        with picture as path:
            self.images.setdefault(name, []).append((step, path.read_bytes()))

    def finish(self, summary: dict[str, Any], *, exit_code: int) -> None:
        self.summary, self.exit_code = summary, exit_code


@pytest.fixture
def state(composed: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """`state("peft=lora", group="grid")`: a run that has not been opened, in tmp_path/run-0123, with a `Mirror`."""
    from peftlab.build.experiment import build
    from peftlab.config.resolve import resolve
    from peftlab.record.record import Record
    from peftlab.run.state import Run

    def make(*words: str, group: str | None = None, folder: str = "run-0123") -> Any:
        config = composed(*SMALL, *words)
        run = Run(build(resolve(config)), Record(tmp_path / folder, {"peft": "own"}, config), group)
        run.tracker = Mirror()  # type: ignore[assignment]
        return run

    return make
