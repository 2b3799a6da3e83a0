"""The folder of one run. Every file is written whole or not at all, so that a killed run leaves nothing half-written."""

import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.record.json_file import json_text, read_json
from peftlab.record.status import DONE, FILE, is_busy, read_status
from peftlab.record.whole_file import write_whole

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
        self,
        folder: Path,
        choices: dict[str, str],
        config: dict[str, Any],
        number: int | None = None,
        flat: dict[str, Any] | None = None,
    ) -> None:
        self.folder, self.choices, self.config, self.number = folder, choices, config, number
        self.flat = flat or {}  # of peftlab.config.summary
        self.started = time.time()
        folder.mkdir(parents=True, exist_ok=True)

    def skip(self, resume: bool) -> bool:
        """Whether this run is finished already. With `resume` false the folder's results are removed instead.

        Raises:
            UserError: if another process is writing this folder.
        """
        status = read_status(self.folder)
        if is_busy(status):
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
        """`state` is one of `status.STATES`."""
        seconds = time.time() - self.started
        fixed = {
            "state": state,
            "name": self.folder.name,
            "number": self.number,
            "choices": self.choices,
            "seed": self.config.get("seed"),
            "flat": self.flat,
        }
        where = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self.started,
            "wall_s": round(seconds, 3),
        }
        self.write(FILE, {**fixed, "error": None, "traceback": None, **where, **more})

    def fail(self, error: str, trace: str | None = None) -> None:
        """The run ended with an error. The status of another process that is at work here stays."""
        if not is_busy(read_status(self.folder)):
            self.status("failed", error=error, traceback=trace)

    def discard(self) -> None:
        """Remove the folder if nothing was ever run in it: a wrong input leaves no trace."""
        if is_busy(read_status(self.folder)):
            return
        (self.folder / FILE).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def write(self, name: str, value: Any) -> None:
        """`value` as JSON, atomically; a number that is not finite becomes null."""
        self.write_text(name, json_text(value, indent=1))

    def write_text(self, name: str, text: str) -> None:
        """A text file, atomically."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file, or {} if it is absent or not readable as one."""
        return read_json(self.folder / name)

    def append(self, row: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json_text(row))

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

    def _clear(self) -> None:
        for path in map(self.folder.joinpath, WRITTEN):  # nothing else: hydra.run.dir may be somebody's home
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
