"""What a run and a sweep are called: by their choices and the hash of their resolved config, never by the clock."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from peftlab.config.hydra_version import register_resolver
from peftlab.config.pointed import files_of_runs
from peftlab.dataset.reads import TEXTS
from peftlab.record.content import content_of

# keys that do not change a run's numbers
VOLATILE = (
    "device",
    "resume",
    "tracker",
    "baseline",
    "recipes",
    "trust",
)  # of recipes, what is used stands elsewhere
VOLATILE_IN = {
    "dataset": ("num_workers",),
    "fit": ("save_every", "eval_batch_size", "stop_after", "checkpointing"),
}
# keys that older runs lack, with what these did: at this value a run is the one without the key; of a node in a node, those in it
ABSENT: dict[str, dict[str, Any]] = {
    "backbone": {"quantise": None, "image": {"quantise": None}, "text": {"quantise": None}},
    "placement": {"tower": None},
    "fit": {
        "compile": False,
        "sampler": "uniform",
        "ema": None,
        "mixup": 0.0,
        "cutmix": 0.0,
        "prograd": None,
        "start_from": None,
    },
    "loss": {"label_smoothing": 0.0},
    "dataset": {
        "views": None,
        "views_expand": None,
        "views_num": None,
        "group_by_length": False,
        "test_max_per_class": None,
        "class_names": None,
        "templates": [],
        "classes": "all",
        "val_max_per_class": None,
        "shift": None,
        "shift_severity": 3,
    },
    "task": {"centres": False, "tpt_views": None, "tpt_lr": 5e-3, "tpt_share": 0.1},
}
# overrides that are no choice of a cell
NO_CHOICE = (
    "experiment",
    "hydra",
    *VOLATILE,
    *(f"{group}.{key}" for group, keys in VOLATILE_IN.items() for key in keys),
)


def register_resolvers() -> None:
    """`${peftlab.run:}`, `${peftlab.sweep:}` and `${peftlab.job:}` name folders in configs/config.yaml."""
    for word, name in (("run", run_name), ("sweep", sweep_name), ("job", job_name)):
        register_resolver(f"peftlab.{word}", lambda *, _root_, name=name: name(_root_), replace=True)
    register_resolver("peftlab.choice", choice, replace=True)
    register_resolver("peftlab.of_texts", of_texts, replace=True)


def choice(group: str, *, _root_: DictConfig) -> str:
    """`${peftlab.choice:peft}`: the name that was chosen in a group, as in `peft=lora`."""
    hydra = _root_.hydra if "hydra" in _root_ else HydraConfig.get()
    return str(hydra.runtime.choices[group])


def of_texts(texts: Any, others: Any, *, _root_: DictConfig) -> Any:
    """`${peftlab.of_texts:3,10}`: 3 where the data are texts, and 10 where they are not."""
    return texts if str(_root_.dataset.get("_target_")).startswith(TEXTS[0]) else others


def task_config(root: DictConfig) -> dict[str, Any]:
    """The resolved config without Hydra's part, as plain dicts."""
    keys = [str(key) for key in root if key != "hydra"]
    nodes = {key: root[key] for key in keys}  # each still knows the root, for what it looks up there
    return {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for key, node in nodes.items()
    }


def config_hash(config: dict[str, Any]) -> str:
    """sha256 of the resolved config, volatile keys aside; eight digits of it are in every folder's name.

    A file of another run, which the placement is made from or the training starts from, enters by what it holds, not by where it
    lies.
    """
    kept = lasting(config)
    for path_of_key, path in files_of_runs(config).items():
        group, _, key = path_of_key.partition(".")
        try:
            kept[group] = {**kept[group], key: content_of(path).sha256}
        except OSError:  # the run will say so
            continue
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def lasting(config: dict[str, Any]) -> dict[str, Any]:
    """The keys that a run's numbers depend on."""
    kept = {key: value for key, value in config.items() if key not in VOLATILE}
    for group in (*VOLATILE_IN, *ABSENT):
        if isinstance(kept.get(group), dict):
            keys = VOLATILE_IN.get(group, ())
            own = {key: value for key, value in kept[group].items() if key not in keys}
            kept[group] = _without(own, ABSENT.get(group, {}))
    return kept


def _without(node: dict[str, Any], absent: dict[str, Any]) -> dict[str, Any]:
    """A node without the keys that are as they were before they were there."""
    return {
        key: _without(value, absent[key])
        if isinstance(value, dict) and isinstance(absent.get(key), dict)
        else value
        for key, value in node.items()
        if key not in absent or value != absent[key]
    }


def choices(root: DictConfig) -> dict[str, str]:
    """What was typed for this job: {"placement.depth": "0-2", ...}."""
    return choices_of(root.hydra.overrides.task)


def choices_of(words: Iterable[str]) -> dict[str, str]:
    """The choices among words KEY=VALUE."""
    pairs = [line.lstrip("+").partition("=") for line in words if "=" in line]
    return {
        key: value
        for key, _, value in pairs
        if key not in NO_CHOICE and not key.startswith(tuple(f"{word}." for word in NO_CHOICE))
    }


def run_name(root: DictConfig) -> str:
    """A single run: `digits_lt-lora-grid-fixed-s0-1a2b3c4d`."""
    chosen = root.hydra.runtime.choices
    words = [str(chosen.get(group)) for group in ("dataset", "peft", "placement", "scaling")]
    return slug("-".join([*words, f"s{root.get('seed')}", config_hash(task_config(root))[:8]]))


def job_name(root: DictConfig) -> str:
    """A job of a sweep: `depth-0-2_position-q_seed-0-1a2b3c4d`, without the choices that all jobs share (if any differ).

    Another sweep in the same folder may vary other keys: a job that it has under another name keeps that name.
    """
    constant = set(root.hydra.job.config.override_dirname.exclude_keys)
    typed = choices(root)
    named = {key: value for key, value in typed.items() if key not in constant} or typed
    words = "_".join(f"{key.rpartition('.')[2]}-{value}" for key, value in named.items())
    digest = config_hash(task_config(root))[:8]
    here = sorted(path.name for path in Path(root.hydra.sweep.dir).glob(f"*{digest}"))
    return here[0] if here else slug(f"{words[:120]}-{digest}")


def sweep_name(root: DictConfig) -> str:
    """A sweep: the experiment, or the keys that it sweeps, and a hash of all that was asked for."""
    params = root.hydra.sweeper.get("params") or {}
    lines = sorted(line for line in root.hydra.overrides.task if not line.startswith(NO_CHOICE[1:]))
    asked = [*lines, *(f"{key}={params[key]}" for key in sorted(params))]
    digest = hashlib.sha256("\n".join([*asked, config_hash(task_config(root))]).encode()).hexdigest()[:8]
    experiment = root.hydra.runtime.choices.get("experiment")
    swept = [line.partition("=")[0].rpartition(".")[2] for line in asked if "," in line.partition("=")[2]]
    return slug("-".join([*([experiment] if experiment else list(dict.fromkeys(swept))[:5]), digest]))


def slug(text: str) -> str:
    """File names hold [a-z0-9_-] only: 0%-75% -> 0p-75p, -1 -> -m1."""
    text = text.lower().replace("%", "p").replace("--", "-m")
    return re.sub(r"[^a-z0-9_-]+", "-", text).strip("-")
