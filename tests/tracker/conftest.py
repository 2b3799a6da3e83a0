"""A machine without a W&B login, whose every wandb file lands in tmp_path."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest


@pytest.fixture
def clean_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No WANDB_ variable, a home of its own. Returns the home."""
    for name in [*os.environ]:
        if name.startswith("WANDB") or name == "NETRC":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


class Drive:
    """`drive(calls, **env)`: the calls of drive.py in a process with these variables only; gives stderr."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(
        self, calls: list[tuple[str, str, dict]], terminal: int | None = None, **env: str | None
    ) -> str:
        script, root = Path(__file__).with_name("drive.py"), Path(__file__).parents[2]
        own = {"HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONPATH": str(root)}
        own |= {"PATH": os.environ["PATH"], "WANDB_DISABLE_GIT": "true", "WANDB_X_DISABLE_STATS": "true"}
        given = self.home / "calls.json"
        given.write_text(json.dumps(calls))
        done = subprocess.run(
            [sys.executable, str(script), str(given)],
            env={key: value for key, value in (own | env).items() if value is not None},
            cwd=self.home,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stderr=subprocess.PIPE if terminal is None else terminal,
            timeout=90,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert not self.left()
        return done.stderr or ""

    def left(self) -> list[psutil.Process]:
        """The wandb processes that a driven process has left behind, after at most 5 s."""
        mine = []
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                if "wandb" in process.info["name"] and process.environ().get("HOME") == str(self.home):
                    mine.append(process)
        return psutil.wait_procs(mine, timeout=5)[1]


@pytest.fixture
def drive(clean_env: Path) -> Drive:
    return Drive(clean_env)


@pytest.fixture
def fake_wandb(clean_env: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for wandb that keeps its calls; `trouble[name]` is raised by the call `name`."""
    calls: list[tuple[str, dict[str, Any]]] = []
    trouble: dict[str, BaseException] = {}

    def record(name: str, answer: Any = None) -> Any:
        def call(*values: Any, **keywords: Any) -> Any:
            calls.append((name, {**keywords, "values": values} if values else keywords))
            for key in (name, f"{name} {keywords.get('mode')}"):
                if key in trouble:
                    raise trouble[key]
            return answer

        return call

    run = SimpleNamespace(
        log=record("log"),
        define_metric=record("define_metric"),
        finish=record("finish"),
        summary=SimpleNamespace(update=record("summary")),
        dir="/run/files",
    )
    fake = SimpleNamespace(
        calls=calls,
        trouble=trouble,
        init=record("init", run),
        setup=record("setup"),
        Settings=lambda **keywords: SimpleNamespace(**keywords),
        Table=record("Table"),
        Image=record("Image"),
        Html=record("Html"),
        named=lambda name: [keywords for other, keywords in calls if other == name],
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    return fake
