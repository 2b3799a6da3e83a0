"""Where a data set of the hub's layout is: a folder here, or a name on the hub. Asked without reading it."""

import os
from pathlib import Path
from typing import NamedTuple

from peftlab.errors import MissingData, UserError
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
    found, looked = _looked_up(folder)
    if found is not None:
        return Where(found)
    if hub_id is not None:
        return Where(None, hub_id, looked)
    if folder is None:
        raise UserError(
            "dataset.path=null names no data set; legal: a hub id as owner/name, or a folder of its layout"
        )
    raise MissingData(
        f"dataset.path=null and the set {folder} was not found ({looked}; no hub id is known); "
        "legal: dataset.path=FOLDER with data/train-00000-of-00001.parquet in it, or the environment "
        f"variable PEFTLAB_DATA=PARENT of a folder {folder}"
    )


def folder_of(path: str | None, folder: str | None) -> Path:
    """`path` if given, else `$PEFTLAB_DATA/<folder>`, of a set that is files in a folder and not on the hub.

    Raises:
        UserError: if there is no such folder.
    """
    if path is not None:
        local = expanded(path)
        if not path.strip() or not local.is_dir():
            raise UserError(f"dataset.path={path} is not a folder; legal: an existing folder")
        return local
    if folder is None:
        raise UserError("dataset.path=null names no folder; legal: a folder of images with lists of them")
    found, looked = _looked_up(folder)
    if found is None:
        raise MissingData(
            f"dataset.path=null and the set {folder} was not found ({looked}); legal: dataset.path=FOLDER, or the environment"
            f" variable PEFTLAB_DATA=PARENT of a folder {folder}"
        )
    return found


def _looked_up(folder: str | None) -> tuple[Path | None, str]:
    """`$PEFTLAB_DATA/<folder>` if it exists, and else what was looked for."""
    root = os.environ.get("PEFTLAB_DATA")
    if not root or not folder:
        return None, "PEFTLAB_DATA is not set"
    found = Path(root) / folder
    return (found, "") if found.is_dir() else (None, f"no folder {found}")


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
