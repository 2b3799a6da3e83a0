"""What a `_target_` may name: the functions that the YAML files of its group name, and people's own packages, by `trust`.

A config says which function is called, so it is code. It can come from anywhere: a command line, a run folder that somebody
sent, the file that a search left. Therefore every `_target_` of a config, at any depth, stands where the project takes a
function, and names one that the project has for that place. This is checked before anything is imported or called.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from peftlab.config.directory import config_dir
from peftlab.errors import UserError

TARGET = "_target_"
HYBRID = "peftlab.peft.part.Hybrid"
PARTS = "peft.parts."  # of whatever name
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_targets(config: dict[str, Any], trust: Sequence[str] = ()) -> None:
    """`trust` are the packages beside this one whose functions may be named.

    Raises:
        UserError: for a `_target_` where none belongs, or that names anything else.
    """
    for package in trust:
        if not re.fullmatch(r"[A-Za-z_]\w*", package):
            raise UserError(
                f"trust={package} is no package; legal: names of packages on sys.path, as trust=[their_package]"
            )
    for path, target in targets_of(config):
        _check(path, target, trust)


def registered() -> dict[str, frozenset[str]]:
    """The functions of each place: `backbone`, `dataset.source`, `peft.parts.`, ..."""
    return _registered(config_dir())


@cache
def _registered(configs: Path) -> dict[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for folder in configs.rglob("*/"):
        group = ".".join(folder.relative_to(configs).parts)
        if group.startswith("hydra"):  # launchers and sweepers are no part of a run's config
            continue
        for file in sorted(folder.glob("*.yaml")):
            for path, target in _of_file(file, group, configs):
                found[_place(path)].add(str(target))
    found[PARTS] = (found[PARTS] | found["peft"]) - {HYBRID}
    return {place: frozenset(targets - {"???"}) for place, targets in found.items()}


def _of_file(file: Path, group: str, configs: Path) -> Iterator[tuple[str, Any]]:
    """The targets of a choice, with those of the files that it starts from."""
    text = file.read_text(encoding="utf-8")
    node = yaml.load(text, LOADER) or {}
    prefix = "" if "# @package _global_" in text else group
    yield from targets_of({key: value for key, value in node.items() if key != "defaults"}, prefix)
    for entry in node.get("defaults", []):
        if not isinstance(entry, str):
            continue
        if base := re.fullmatch(r"/(\w+)@_here_", entry):
            yield from _of_file(configs / f"{base[1]}.yaml", group, configs)
        elif other := re.fullmatch(
            r"(\w+)@(\w+)", entry
        ):  # another choice of the group, below a key of this one
            yield from _of_file(configs / group / f"{other[1]}.yaml", f"{group}.{other[2]}", configs)


def targets_of(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every `_target_` of a tree, in mappings and lists, with the path of its node."""
    if isinstance(node, dict):
        if TARGET in node:
            yield path, node[TARGET]
        items: Any = node.items()
    else:
        items = enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in items:
        yield from targets_of(value, f"{path}.{key}" if path else str(key))


def _place(path: str) -> str:
    part = path.removeprefix(PARTS)
    return PARTS if part != path and "." not in part else path


def _check(path: str, target: Any, trust: Sequence[str]) -> None:
    legal = registered().get(_place(path))
    told = f"{path}.{TARGET}={target}"
    if isinstance(target, str) and "." in target and target.partition(".")[0] in trust:
        return
    if legal is None:
        raise UserError(
            f"{told} names a function where a config has values only; legal: no {TARGET} in {path or 'the root'}"
        )
    if not isinstance(target, str) or target not in legal:
        raise UserError(
            f"{told} is none of the project's functions for {path}; legal: {', '.join(sorted(legal))}, or a package of your"
            " own with trust=[PACKAGE] (peftlab-predict and peftlab-export: --trust PACKAGE)"
        )
