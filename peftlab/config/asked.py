"""What a job was asked for, as a key: its words, and all that makes a config of them. Equal keys mean equal configs."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import omegaconf
from omegaconf import DictConfig, OmegaConf

from peftlab.config.hydra_version import HYDRA

PLACE = "hydra.job.place"  # the place of a job in its sweep; Hydra's own number is that in what was left to launch
CODE = Path(__file__).parents[1]


def asked(config: DictConfig, words: Sequence[str]) -> str | None:
    """sha256 of a job's words and their surroundings; None where these do not say it all.

    `config` is Hydra's, of the job or of its sweep.
    """
    runtime: Any = OmegaConf.to_container(config.hydra.runtime, resolve=False)
    lines: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    sources = tuple(one["path"] for one in runtime["config_sources"] if one["schema"] == "file")
    around = surroundings(sources)
    own = [line for line in lines if PLACE not in line]
    if around is None or any("${" in word for word in words):
        return None
    name = config.hydra.job.config_name
    return hashlib.sha256(json.dumps([around, runtime["cwd"], name, own, *words]).encode()).hexdigest()


@cache
def surroundings(sources: tuple[str, ...]) -> str | None:
    """A hash of the YAML files of these folders, this package, Hydra, and the variables that a config looks up, as they are
    when this process first asks; None if a config looks up the time or another thing that changes.
    """
    digest = hashlib.sha256(f"{HYDRA} {omegaconf.__version__}".encode())
    variables = {"PEFTLAB_DATA", "HOME", "HF_HOME", "TORCH_HOME"}
    for folder in map(Path, sources):
        for path in _files(folder, "*.yaml"):
            text = path.read_text(encoding="utf-8", errors="replace")
            digest.update(f"{path}\0{text}\0".encode())
            variables |= set(re.findall(r"oc\.env:\s*([A-Za-z_]\w*)", text))
            if re.search(r"\$\{\s*(?:now|env|random)\b", text):
                return None
    for path in _files(CODE, "*.py"):
        digest.update(path.read_bytes() + b"\0")
    for name in sorted(variables):
        digest.update(f"{name}={os.environ.get(name)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path, pattern: str) -> Iterable[Path]:
    return sorted(folder.rglob(pattern)) if folder.is_dir() else ()
