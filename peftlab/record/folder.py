"""What the folder of a run promises. The tests of each promise stand in tests/record/test_folder.py and below `tests/engine`.

1. A refused command changes nothing: all that can be checked is checked before the first byte is written or removed.
2. Only what is ours is cleared or overwritten: names that a run writes, in a folder that a run of ours has marked.
3. One folder, one config, one writer: who writes holds the folder's lock (`lock.py`), and who does not writes nothing.
   A run is continued or skipped only by the same config on the same content (`peftlab.config.identity`).
4. A record says only what is true: result.json has the SHA-256 of every file that it names; a run is finished when these
   are there and whole; what is loaded is compared, and a number that is not finite is never loaded.
5. Damage is one sentence that names the file and the way out.
6. A full disk or a read-only place is one sentence too; in a sweep the next job starts.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from peftlab.errors import UserError
from peftlab.inputs.yaml_text import parse_yaml
from peftlab.record.json_file import read_json
from peftlab.record.status import FILE as STATUS
from peftlab.record.status import STATES, read_status

# the files that a run leaves in its folder, all of them
WRITTEN = (
    "status.json",
    "config.yaml",
    "split.json",
    "metrics.jsonl",
    "result.json",
    "placement.csv",
    "per_class.csv",
    "predictions.csv",
    "width.csv",
    "gamma.csv",
    "gamma.png",
    "gates.csv",
    "adapter.safetensors",
    "adapter.yaml",
    "last/state.pt",
    "search/found.yaml",
    "search/evaluated.jsonl",
)
SUPERNET = "supernet"  # the folder of a run below that of another
WANDB = re.compile(r"(offline-)?run-\d{8}_\d{6}-.+|latest-run|debug(-internal)?\.log")  # in wandb/
NOT_A_RUN_S = (".hydra", ".lock")  # lie there before anything has run
OURS = "legal: a new or empty folder, or that of a run"


def is_ours(folder: Path) -> bool:
    """Whether a run of peftlab, of any version, has marked the folder as its own."""
    status, result = read_status(folder), read_json(folder / "result.json")
    return (
        (status.get("state") in STATES and "choices" in status)
        or {"run_id", "metrics"} <= result.keys()
        or _is_config(folder)
    )


def check_ours(folder: Path) -> None:
    """That a run may write here.

    Raises:
        UserError: if there are files, and no mark of a run.
    """
    if not folder.is_dir():
        return
    nobody_s = {*NOT_A_RUN_S, *(path.name for path in parts(folder, WRITTEN) if path.parent == folder)}
    strange = sorted(path.name for path in folder.iterdir() if path.name not in nobody_s)
    if strange and not is_ours(folder):
        names = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        raise UserError(f"{folder} is no run's folder and not empty ({names}); {OURS}")


def clear(folder: Path) -> None:
    """Remove what a run has written, by name; what else lies there stays, and what a link points to."""
    for name in sorted(WRITTEN, key="result.json".__ne__):  # first: from then on it is not finished
        path = folder / name
        if name == STATUS:  # last: a kill leaves a folder that is known as a run's
            continue
        if path.parent != folder and path.parent.is_symlink():
            path.parent.unlink()
        elif path.is_file() or path.is_symlink():
            path.unlink()
    if (folder / SUPERNET).is_dir() and is_ours(folder / SUPERNET):
        clear(folder / SUPERNET)
    for path in sorted((folder / "wandb").glob("*")) if not (folder / "wandb").is_symlink() else ():
        if WANDB.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name in ("last", "search", SUPERNET, "wandb"):
        _remove_empty(folder / name)
    clear_parts(folder)
    if (folder / STATUS).is_file() or (folder / STATUS).is_symlink():
        (folder / STATUS).unlink()


def clear_parts(folder: Path) -> None:
    """Remove what killed writers have left half-written (`whole_file`). Only who holds the lock may."""
    for path in parts(folder, WRITTEN):
        path.unlink(missing_ok=True)


def parts(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """The half-written files of these names."""
    for name in names:
        path = folder / name
        for found in path.parent.glob(f".{path.name}.*") if path.parent.is_dir() else ():
            if found.name.rpartition(".")[2].isdecimal():
                yield found


def _is_config(folder: Path) -> bool:
    """Of a run: an export has one too, and people write their own."""
    path = folder / "config.yaml"
    if not path.is_file() or (folder / "export.yaml").exists():
        return False
    try:
        data = path.read_bytes()
        return data.startswith(b"format: ") and isinstance(parse_yaml(data), dict)
    except (OSError, ValueError):
        return False


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
