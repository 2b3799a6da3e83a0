"""Whether a path stays in the folder of a data set, which names nothing outside of it."""

import os
from pathlib import Path

SNAPSHOTS, BLOBS = (
    "snapshots",
    "blobs",
)  # the hub's cache: REPOSITORY/snapshots/REVISION/FILE is a link into REPOSITORY/blobs


def real(path: str | Path) -> Path:
    """The path without links."""
    return Path(os.path.realpath(path))


def is_inside(path: Path, root: Path) -> bool:
    """Whether what `path` leads to lies in `root`, or is a file of the same repository in the hub's cache."""
    target = real(path)
    return target.is_relative_to(real(root)) or target.parent == _blobs(real(path.parent))


def _blobs(folder: Path) -> Path | None:
    parts = folder.parts
    if SNAPSHOTS not in parts:
        return None
    return Path(*parts[: len(parts) - 1 - parts[::-1].index(SNAPSHOTS)], BLOBS)
