"""A machine without a W&B login whose every wandb file lands in tmp_path, and a reader of offline runs."""

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

BLOCK = 32768  # bytes; records of a .wandb file are cut at its multiples
HEAD = 7  # bytes before the first record, and before every piece: checksum 4, length 2, kind 1


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

    def __call__(self, calls: list[tuple[str, str, dict]], terminal: int | None = None, **env: str) -> str:
        script, root = Path(__file__).with_name("drive.py"), Path(__file__).parents[2]
        own = {"HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONPATH": str(root)}
        own |= {"PATH": os.environ["PATH"], "WANDB_DISABLE_GIT": "true", "WANDB_X_DISABLE_STATS": "true"}
        done = subprocess.run(
            [sys.executable, str(script), json.dumps(calls)],
            env=own | env,
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
        named=lambda name: [keywords for other, keywords in calls if other == name],
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture
def read_run():
    """`read_run(folder)`: what the one offline run under `folder` has written."""
    return read_offline


def read_offline(folder: Path) -> SimpleNamespace:
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    read = SimpleNamespace(run=None, config={}, history=[], summary={}, metrics=[], exit_code=None)
    read.files = path.parent / "files"
    for record in records(path.read_bytes()):
        if record.HasField("run"):
            read.run = record.run
            read.config |= values(record.run.config.update)
        elif record.HasField("history"):
            read.history.append(values(record.history.item))
        elif record.HasField("summary"):
            read.summary |= values(record.summary.update)
        elif record.HasField("metric"):
            read.metrics.append(record.metric)
        elif record.HasField("exit"):
            read.exit_code = record.exit.exit_code
    return read


def values(items: Any) -> dict[str, Any]:
    """Key (nested keys joined by dots) -> value."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def records(data: bytes):
    """The records of a .wandb file: a LevelDB log after a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    assert data[:4] == b":W&B"
    at, text = HEAD, b""
    while at + HEAD <= len(data):
        if BLOCK - at % BLOCK < HEAD:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        text += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (1, 4):  # whole, or last piece
            record = Record()
            record.ParseFromString(text)
            text = b""
            yield record
