"""The files and folders that a config points to: a run is a function of what they hold, not of where they lie."""

import os
from pathlib import Path
from typing import Any

from peftlab.backbone.choice import paths
from peftlab.record.whole import check_whole

# what placement.run means: of this file of the run the sites, or the search, are made
OF_RUN = {"from_gamma": "gamma.csv", "noah": "adapter.safetensors"}


def pointed(config: dict[str, Any]) -> dict[str, Path]:
    """Key -> path, as `dataset.path`, of all that exist; a name of the hub is none."""
    found = {
        "dataset.path": _data(config.get("dataset")),
        "dataset.class_names": _file(_node(config, "dataset").get("class_names")),
        **{f"backbone.{key}": path for key, path in paths(_node(config, "backbone")).items()},
        **{f"placement.{key}": path for key, path in placement_files(config).items()},
    }
    return {key: path for key, path in found.items() if path is not None and path.exists()}


def placement_files(config: dict[str, Any]) -> dict[str, Path]:
    """Key of the placement -> the file that its sites come from."""
    node = config.get("placement")
    if not isinstance(node, dict):
        return {}
    kind = str(node.get("_target_")).rpartition(".")[2]
    run, file = node.get("run"), node.get("file")
    found = {}
    if isinstance(run, str) and kind in OF_RUN:
        found["run"] = Path(os.path.expanduser(run)) / OF_RUN[kind]
    if isinstance(file, str):
        found["file"] = Path(os.path.expanduser(file))
    return {key: path for key, path in found.items() if path.is_file()}


def check_pointed(config: dict[str, Any]) -> None:
    """That what another run wrote is still what it wrote.

    Raises:
        UserError: naming the file.
    """
    for key, path in placement_files(config).items():
        if key == "run":
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
