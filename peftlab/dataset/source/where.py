"""Where a data set of the hub's layout is: a folder here, or a name on the hub. Asked without reading it."""

import os
from pathlib import Path
from typing import NamedTuple

from peftlab.errors import UserError
from peftlab.inputs.path import expanded


class Where(NamedTuple):
    """A folder, or a hub id with what was looked for here before."""

    folder: Path | None
    hub_id: str = ""
    looked: str = ""


def place_of(path: str | None, hub_id: str | None, folder: str | None) -> Where:
    """`path` (a folder or a hub id) if given, else `$PEFTLAB_DATA/<folder>` if it exists, else `hub_id`.

    Raises:
        UserError: if the set is in none of these places.
    """
    if path is not None:
        return _given(path)
    root = os.environ.get("PEFTLAB_DATA")
    if root and folder and (Path(root) / folder).is_dir():
        return Where(Path(root) / folder)
    looked = f"no folder {Path(root) / folder}" if root and folder else "PEFTLAB_DATA is not set"
    if hub_id is not None:
        return Where(None, hub_id, looked)
    if folder is None:
        raise UserError(
            "dataset.path=null names no data set; legal: a hub id as owner/name, or a folder of its layout"
        )
    raise UserError(
        f"dataset.path=null and the set {folder} was not found ({looked}; no hub id is known); "
        "legal: dataset.path=FOLDER with data/train-00000-of-00001.parquet in it, or the environment "
        f"variable PEFTLAB_DATA=PARENT of a folder {folder}"
    )


def _given(path: str) -> Where:
    if not path.strip():
        raise UserError("dataset.path is empty; legal: an existing folder, a hub id as owner/name, or null")
    local = expanded(path)
    if local.is_dir():
        return Where(local)
    words = path.split("/")
    if local.is_absolute() or path.startswith((".", "~")) or len(words) != 2 or not all(words):
        raise UserError(
            f"dataset.path={path} is not a folder; legal: an existing folder, or a hub id as owner/name"
        )
    return Where(None, path, f"no folder {path} here")
