"""The folder of one run. Every file is written whole or not at all, so that a killed run leaves nothing half-written."""

import json
import math
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

from peftlab.config.name import config_hash
from peftlab.errors import UserError

DONE = ("ok", "diverged")
# what a run leaves in its folder, all of it
WRITTEN = (
    "status.json",
    "config.yaml",
    "split.json",
    "metrics.jsonl",
    "result.json",
    "placement.csv",
    "per_class.csv",
    "width.csv",
    "gamma.csv",
    "gamma.png",
    "adapter.safetensors",
    "adapter.yaml",
    "last",
    "supernet",
    "search",
    "wandb",
)


class Record:
    """status.json, config.yaml, metrics.jsonl, result.json of a run folder."""

    def __init__(
        self, folder: Path, choices: dict[str, str], config: dict[str, Any], number: int | None = None
    ) -> None:
        self.folder, self.choices, self.config, self.number = folder, choices, config, number
        self.started = time.time()
        folder.mkdir(parents=True, exist_ok=True)

    def skip(self, resume: bool) -> bool:
        """Whether this run is finished already. With `resume` false the folder's results are removed instead.

        Raises:
            UserError: if another process is writing this folder.
        """
        status = self.read("status.json")
        if self._busy():
            raise UserError(
                f"{self.folder} is being written by process {status['pid']}; wait for it or stop it"
            )
        if not resume:
            self._clear()
        elif status.get("state") in DONE and self.read("result.json"):
            print(
                f"{self.folder}: finished before ({status['state']}); resume=false runs it again",
                file=sys.stderr,
            )
            return True
        self.status("running")
        return False

    def status(self, state: str, **more: Any) -> None:
        """running, ok, failed, interrupted or diverged."""
        seconds = time.time() - self.started
        fixed = {
            "state": state,
            "name": self.folder.name,
            "number": self.number,
            "choices": self.choices,
            "seed": self.config.get("seed"),
        }
        where = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self.started,
            "wall_s": round(seconds, 3),
        }
        self.write("status.json", {**fixed, "error": None, "traceback": None, **where, **more})

    def fail(self, error: str, trace: str | None = None) -> None:
        """The run ended with an error. The status of another process that is at work here stays."""
        if not self._busy():
            self.status("failed", error=error, traceback=trace)

    def discard(self) -> None:
        """Remove the folder if nothing was ever run in it: a wrong input leaves no trace."""
        if self._busy():
            return
        (self.folder / "status.json").unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def write(self, name: str, value: Any) -> None:
        """`value` as JSON, atomically; a number that is not finite becomes null."""
        self.write_text(name, json.dumps(_plain(value), indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """A text file, atomically."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(text)
        os.replace(part, path)

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file, or {} if it is absent or not readable as one."""
        try:
            value = json.loads((self.folder / name).read_text())
        except (OSError, ValueError):  # absent; not JSON, not even text
            return {}
        return value if isinstance(value, dict) else {}

    def append(self, row: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(_plain(row)) + "\n")

    def rewind(self, step: int) -> None:
        """Drop the rows of metrics.jsonl after `step`, and a last line that a kill cut short."""
        path = self.folder / "metrics.jsonl"
        kept = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except json.JSONDecodeError:
                break
        self.write_text("metrics.jsonl", "".join(kept))

    def config_digest(self) -> str:
        """The hash that the folder is named by."""
        return config_hash(self.config)

    def _busy(self) -> bool:
        status = self.read("status.json")
        return status.get("state") == "running" and _alive(status)

    def _clear(self) -> None:
        for path in map(self.folder.joinpath, WRITTEN):  # nothing else: hydra.run.dir may be somebody's home
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _alive(status: dict[str, Any]) -> bool:
    """Whether the process that wrote the status still runs, on this machine; a reused pid is told by its start time."""
    if status.get("host") != socket.gethostname() or status.get("pid") == os.getpid():
        return False
    import psutil

    try:
        return psutil.Process(int(status["pid"])).create_time() <= float(status["started"]) + 1
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
