"""Which jobs of a sweep are still to be run: those that are finished are known without composing them.

The index only says which folder and which config the words of a job mean. Whether a run is finished there, whole, and of
this config and data, is asked of the folder, as for every run. A job that the index does not know is composed and asked then.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from peftlab.config.asked import PLACE, asked
from peftlab.config.name import config_hash, task_config
from peftlab.config.pointed import pointed
from peftlab.errors import UserError, say
from peftlab.record.content import content_of, stamp_of
from peftlab.record.index import ASKED, note, noted
from peftlab.record.record import Record
from peftlab.record.status import DONE, read_status


def pending(config: DictConfig, jobs: Sequence[Sequence[str]], first: int = 0) -> list[list[str]]:
    """The jobs that are not known to be finished, each with a word for its place in the sweep.

    `config` is Hydra's of the sweep, `jobs` the words of each job, and `first` the place of the first.
    """
    folder = Path(str(config.hydra.sweep.dir))
    index = noted(folder / ASKED, "asked") if _may_skip(config, jobs) else {}
    stamps: dict[str, str | None] = {}
    left = []
    for place, words in enumerate(jobs, first):
        entry = index.get(asked(config, words) or "") if index else None
        if entry is None or not _is_finished(folder, entry, stamps):
            left.append([*words, f"+{PLACE}={place}"])
    if len(left) < len(jobs):
        say(
            f"{folder}: {len(jobs) - len(left)} of {len(jobs)} runs finished before; resume=false runs them again"
        )
    return left


def remember(root: DictConfig) -> None:
    """Note in the index which run the words of a job of a sweep mean, once that run is finished; nothing of a single run."""
    if OmegaConf.select(root, "hydra.mode") != RunMode.MULTIRUN:
        return
    folder, sweep = Path(str(root.hydra.runtime.output_dir)), Path(str(root.hydra.sweep.dir))
    status, name = read_status(folder), os.path.relpath(folder, sweep)
    identity, key = status.get("identity"), asked(root, root.hydra.overrides.task)
    if (
        key is None
        or status.get("state") not in DONE
        or not isinstance(identity, dict)
        or not _is_below(name)
    ):
        return
    config = task_config(root)
    digest = config_hash(config)
    if identity.get("config") == digest:  # else another run lies there
        points = {name: str(path.absolute()) for name, path in pointed(config).items()}
        note(sweep / ASKED, {"asked": key, "run": name, "config": digest, "points": points})


def _may_skip(config: DictConfig, jobs: Sequence[Sequence[str]]) -> bool:
    """Not where finished runs are to be run again, or functions of another package decide what is legal."""
    typed = any(word.lstrip("+~").startswith(("resume", "trust")) for words in jobs[:1] for word in words)
    return not typed and bool(OmegaConf.select(config, "resume")) and not OmegaConf.select(config, "trust")


def _is_below(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_finished(folder: Path, entry: Mapping[str, Any], stamps: dict[str, str | None]) -> bool:
    name, points = entry.get("run"), entry.get("points")
    if not isinstance(name, str) or not isinstance(points, dict) or not _is_below(name):
        return False
    record = Record(folder / name, {}, {})
    record.identity = Known(str(entry.get("config")), points, stamps)
    try:
        return record.look(resume=True, tell=False)
    except (UserError, OSError):  # the job itself will say it
        return False


class Known:
    """The identity of a run as the index has it. `stamps` are those of what was looked at for other runs, by path."""

    def __init__(self, config: str, points: Mapping[str, Any], stamps: dict[str, str | None]) -> None:
        self._config, self._points, self._stamps = config, points, stamps

    @property
    def saved(self) -> dict[str, Any]:
        """Nothing is written of it."""
        return {}

    def check(self, folder: Path, saved: Mapping[str, Any]) -> None:
        """That the run in a folder is surely this one.

        Raises:
            UserError: if it may be another one.
        """
        was = saved.get("inputs")
        same = saved.get("config") == self._config and isinstance(was, dict)
        for key, path in self._points.items():
            content = was.get(key) if isinstance(was, dict) else None
            same = same and isinstance(content, dict) and self._is_same(Path(str(path)), content)
        if not same:
            raise UserError(f"{folder} may hold another run")

    def _is_same(self, path: Path, content: Mapping[str, Any]) -> bool:
        name = str(path)
        if name not in self._stamps:
            try:
                self._stamps[name] = stamp_of(path)[0]
            except OSError:
                self._stamps[name] = None
        if self._stamps[name] is None:
            return False
        return self._stamps[name] == content.get("stamp") or content_of(path).sha256 == content.get("sha256")
