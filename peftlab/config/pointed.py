"""The files and folders that a config points to: a run is a function of what they hold, not of where they lie."""

import os
from pathlib import Path
from typing import Any

from peftlab.backbone.choice import paths
from peftlab.errors import UserError
from peftlab.record.whole import check_whole

START, ADAPTER = "fit.start_from", "adapter.safetensors"
# what placement.run means: of this file of the run the sites, or the search, are made
OF_RUN = {"from_gamma": "gamma.csv", "noah": ADAPTER}


def pointed(config: dict[str, Any]) -> dict[str, Path]:
    """Key -> path, as `dataset.path`, of all that exist; a name of the hub is none."""
    found = {
        "dataset.path": _data(config.get("dataset")),
        "dataset.class_names": _file(_node(config, "dataset").get("class_names")),
        **{f"backbone.{key}": path for key, path in paths(_node(config, "backbone")).items()},
        **files_of_runs(config),
    }
    return {key: path for key, path in found.items() if path is not None and path.exists()}


def files_of_runs(config: dict[str, Any]) -> dict[str, Path]:
    """Key -> the file that is read there of what another run wrote, or of what people wrote in its place."""
    placement, start = _node(config, "placement"), _file(_node(config, "fit").get("start_from"))
    kind = str(placement.get("_target_")).rpartition(".")[2]
    run, file = _file(placement.get("run")), _file(placement.get("file"))
    found = {
        "placement.run": run / OF_RUN[kind] if run is not None and kind in OF_RUN else None,
        "placement.file": file,
        START: None if start is None else start / ADAPTER,
    }
    return {key: path for key, path in found.items() if path is not None and path.is_file()}


def check_pointed(config: dict[str, Any]) -> None:
    """That what another run wrote is there, and still what it wrote.

    Raises:
        UserError: naming the file.
    """
    files = files_of_runs(config)
    start = _node(config, "fit").get("start_from")
    if start is not None and START not in files:
        raise UserError(
            f"fit.start_from={start} has no {ADAPTER}; legal: the folder of a finished run, or null"
        )
    for key, path in files.items():
        if key != "placement.file":
            check_whole(path.parent, path.name)


def _file(value: Any) -> Path | None:
    return Path(os.path.expanduser(value)) if isinstance(value, str) and value else None


def _data(node: Any) -> Path | None:
    """The folder of the data: dataset.path, or the set's own name below $PEFTLAB_DATA; of a set of tasks that of its task."""
    if not isinstance(node, dict):
        return None
    source = node["source"] if isinstance(node.get("source"), dict) else {}
    task = source["task"] if isinstance(source.get("task"), str) else ""
    if isinstance(node.get("path"), str):
        return Path(os.path.expanduser(node["path"])) / task if node["path"] else None
    own, root = source.get("folder"), os.environ.get("PEFTLAB_DATA")
    return Path(root) / own / task if root and isinstance(own, str) else None


def _node(config: dict[str, Any], group: str) -> dict[str, Any]:
    node = config.get(group)
    return node if isinstance(node, dict) else {}
