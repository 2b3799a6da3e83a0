"""What the folders of a sweep's jobs say."""

import json
import re
from dataclasses import dataclass, field
from math import inf, nan
from pathlib import Path
from typing import Any

from peftlab.config.upgrade import format_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain
from peftlab.record import status
from peftlab.record.folder import is_ours
from peftlab.record.json_file import read_json

STATES = (*status.STATES, "missing")


@dataclass(frozen=True)
class Job:
    """What one sub-folder of a sweep says; its state is `missing` when it does not say enough."""

    folder: Path
    state: str
    number: float  # the job's place in the sweep; infinite where it is not recorded
    choices: dict[str, str]  # without the seed
    seed: int | None
    error: str  # its first line
    result: dict[str, Any]
    metrics: dict[str, float]
    wall_s: float
    inputs: dict[str, str] = field(default_factory=dict)  # sha256 of what a key of the config points to
    place: str = ""  # in the code, of an error that was not foreseen
    flat: dict[str, Any] = field(default_factory=dict)  # the scalars of `config.summary`


def read(folder: str | Path) -> list[Job]:
    """The jobs of a sweep folder in job order; absent or half-written records give the state `missing`.

    A run that two processes finished under two names counts once.

    Raises: UserError when there is no such folder, no job in it, or a job that a newer peftlab wrote.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"folder={folder} does not exist; legal is the folder of a sweep.")
    if not has_jobs(folder):
        raise UserError(f"folder={folder} holds no job; legal is a folder with one sub-folder per job.")
    jobs = [_job(path) for path in job_folders(folder)]
    once: dict[str, Job] = {}
    for job in sorted(jobs, key=lambda job: (job.number, _natural(job.folder.name))):
        once.setdefault(str(job.result.get("run_id", job.folder.name)), job)
    return list(once.values())


def has_jobs(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return any((path / status.FILE).is_file() or is_ours(path) for path in job_folders(folder))


def job_folders(folder: Path) -> list[Path]:
    """The folders of the jobs of a sweep, in no order."""
    return [path for path in folder.iterdir() if _is_job(path)] if folder.is_dir() else []


def _is_job(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith(".") or path.name == "wandb":
        return False
    content = {entry.name for entry in path.iterdir()}
    # An empty folder is a job that was killed at its start.
    return not content or bool(content & {"status.json", "result.json", "config.yaml", ".hydra"})


def _job(folder: Path) -> Job:
    said, result = status.read_status(folder), read_json(folder / "result.json")
    format_of(result, folder)
    state, error = str(said.get("state", "missing")), str(said.get("error") or "").strip()
    metrics, choices = result.get("metrics"), said.get("choices")
    if state not in STATES or (state == "ok" and not isinstance(metrics, dict)):
        state, error = "missing", f"status.json says {state}, but there is no readable result"
    text = {plain(str(k)): plain(_text(v)) for k, v in choices.items()} if isinstance(choices, dict) else {}
    inputs = result.get("inputs")
    seed = str(said.get("seed", text.get("seed")))
    return Job(
        folder=folder,
        state=state,
        number=number(said.get("number"), inf),
        choices={key: value for key, value in text.items() if key != "seed"},
        seed=int(seed) if seed.isdecimal() else None,
        error=plain(error.partition("\n")[0]),
        result=result,
        metrics={k: number(v) for k, v in metrics.items()} if isinstance(metrics, dict) else {},
        wall_s=number(result.get("wall_s", said.get("wall_s"))),
        inputs={k: v for k, v in inputs.items() if isinstance(v, str)} if isinstance(inputs, dict) else {},
        place=_place(said.get("traceback")),
        flat=flat if isinstance(flat := result.get("flat") or said.get("flat"), dict) else {},
    )


def _place(trace: Any) -> str:
    """The last frame of a traceback: file, line, function."""
    frames = re.findall(r'File "(.*)", line (\d+), in (.*)', trace) if isinstance(trace, str) else []
    return plain("{}:{} in {}".format(*frames[-1])) if frames else ""


def number(value: Any, default: float = nan) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _text(value: Any) -> str:
    """A choice as it is typed: `[q,v]`, `0.1`, `null`, `0-2`."""
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def split_choices(text: str) -> dict[str, str]:
    """`a=1,b=[q,v]` as a dict: a comma ends a value only where another `key=` follows."""
    parts = re.split(r",(?=\s*[\w./@+~-]+=)", text)
    pairs = [part.strip().partition("=") for part in parts]
    return {key: value for key, _, value in pairs} if all(equal for _, equal, _ in pairs) else {}


def _natural(text: str) -> list[tuple[int, str]]:
    """A sort key that puts `9-11` before `10-12`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", text)]
