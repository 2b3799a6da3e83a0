"""The runs below a folder, each as a row of plain values: what `peftlab-runs` lists, filters and sorts."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftlab.config.summary import KEYS, num_trained, summary
from peftlab.config.upgrade import format_of
from peftlab.errors import UserError
from peftlab.inputs.yaml_text import parse_yaml
from peftlab.record.json_file import read_json
from peftlab.record.lock import is_locked
from peftlab.record.status import DONE, STATES, read_status
from peftlab.report.metric import Metric, named

MARKS = {"status.json", "result.json"}  # a folder that has one of them is listed
BESIDE = {"adapter.yaml", "metrics.jsonl", "split.json"}  # or one of these and a config.yaml
DAMAGED, KILLED = "damaged", "killed"
LISTED = (*STATES, KILLED, DAMAGED)
GROUPS = ("peft", "dataset", "scaling", "task")


@dataclass(frozen=True)
class Row:
    """A run. `values` are scalars by the names that --where, --sort and --columns take.

    Headline metrics are among them, in %, if the run came to its end; a diverged one has its numbers as `test/...` alone.
    """

    folder: Path
    values: dict[str, Any]
    metrics: tuple[Metric, ...]
    status: dict[str, Any]
    result: dict[str, Any]

    @property
    def state(self) -> str:
        return str(self.values["state"])


def rows(folder: Path) -> list[Row]:
    """Every run below a folder, by path; links are not followed.

    Raises: UserError if there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"folder={folder} is not a folder; legal: one that holds runs, as outputs")
    return [read_row(path, folder) for path in find(folder)]


def find(folder: Path) -> Iterator[Path]:
    """Folders of runs, by path; what lies inside a run's folder (its supernet, its exports) is the run's own."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # a folder that may not be read holds nothing that we can list
        return
    names = {entry.name for entry in found}
    if names & MARKS or ("config.yaml" in names and names & BESIDE and "export.yaml" not in names):
        yield folder
        return
    for entry in found:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from find(folder / entry.name)


def read_row(path: Path, root: Path) -> Row:
    """What a run's records say. Whatever they lack is absent, and a record that cannot be read makes it `damaged`."""
    status, result = read_status(path), read_json(path / "result.json")
    state, error = _state(path, status, result)
    metrics, said = result.get("metrics"), status.get("choices")
    choices = {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}
    shown = tuple(Metric(name) for name in named(result))
    number = {k: v for k, v in metrics.items() if is_number(v)} if isinstance(metrics, dict) else {}
    values = {
        "run": path.name if path == root else path.relative_to(root).as_posix(),
        "sweep": path.parent.name if status.get("number") is not None else None,
        "state": state,
        **_flat(path, status, result, choices),
        **{
            m.label: m.factor * number[f"test/{m.name}"]
            for m in shown
            if state == "ok" and f"test/{m.name}" in number
        },
        **{key: result.get(key, status.get(key)) for key in ("wall_s", "step_s", "memory_mib")},
        **{key: status.get(key) for key in ("started", "attempt")},
        "error": error,
        **{f"choices.{key}": value for key, value in choices.items()},
        **number,
    }
    return Row(path, values, shown, status, result)


def _state(path: Path, status: dict[str, Any], result: dict[str, Any]) -> tuple[str, str | None]:
    """The state and the first line of its reason. A run that says `running` and holds no lock was killed."""
    state, error = status.get("state"), status.get("error")
    try:
        format_of(result, path)
    except UserError as newer:
        return DAMAGED, str(newer)
    if state not in STATES:
        return DAMAGED, "status.json is missing or cannot be read"
    if state in DONE and not isinstance(result.get("metrics"), dict):
        return DAMAGED, f"status.json says {state}, and result.json is missing or cannot be read"
    if state == "running" and not is_locked(path):
        return KILLED, "it says running, and no process writes it"
    return str(state), str(error).strip().partition("\n")[0] if error else None


def _flat(
    path: Path, status: dict[str, Any], result: dict[str, Any], choices: dict[str, str]
) -> dict[str, Any]:
    """The scalars of `config.summary`; for a record older than they are, from its config."""
    found = result.get("flat") or status.get("flat")
    if not isinstance(found, dict) or not found.keys() & {"peft", "seed"}:
        config = _config(path)
        words = {group: _word(config.get(group)) for group in GROUPS}
        found = summary(
            config, {**words, **{key: choices[key] for key in (*GROUPS, "backbone") if key in choices}}
        )
    counts = result.get("num_parameters")
    if isinstance(counts, dict) and all(map(is_number, counts.values())):
        found = {**found, "num_parameters": num_trained(counts)}
    plain = {key: found.get(key) for key in KEYS}
    return {key: value if isinstance(value, str | int | float) else None for key, value in plain.items()}


def _config(path: Path) -> dict[str, Any]:
    try:
        found = parse_yaml((path / "config.yaml").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _word(node: Any) -> str | None:
    """`lora` of `_target_: peftlab.peft.lora.Lora`; a sum of parts is `hybrid`."""
    words = str(node.get("_target_", "")).split(".") if isinstance(node, dict) else []
    return None if len(words) < 2 else "hybrid" if words[-1] == "Hybrid" else words[-2]


def is_number(value: Any) -> bool:
    """Whether a value of a record is a number; `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
