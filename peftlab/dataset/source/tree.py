"""Walks a folder for pictures and says what it passed over: the only place that decides which files belong to a data set."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from peftlab.dataset.source.link import is_inside, real
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# what systems and tools leave in folders; also every name that begins with a dot (.ipynb_checkpoints, ._x.png)
LEFTOVERS = ("__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "system volume information")
# what the folder or file of a split may be called, in small or capital letters
SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def is_hidden(name: str) -> bool:
    """Whether a name is of a hidden file or of what a system leaves behind."""
    return name.startswith(".") or name.lower() in LEFTOVERS


def pictures(folder: Path, ignored: Counter[str], root: Path | None = None) -> list[Path]:
    """The pictures in a folder and below, sorted; what else lies there is counted by its kind in `ignored`.

    A link is followed if it stays in `root`, which is the folder itself or one above it: a data set names nothing outside
    its folder. That folder may be a link, made by whoever wants it here.

    Raises:
        UserError: for a folder that cannot be read.
    """
    return sorted(_walk(folder, root or folder, (real(folder),), ignored))


def _walk(folder: Path, root: Path, above: tuple[Path, ...], ignored: Counter[str]) -> Iterator[Path]:
    for entry in entries(folder):
        if is_hidden(entry.name):
            ignored["hidden or of the system"] += 1
            continue
        path, target = Path(entry.path), Path(entry.path)
        if entry.is_symlink():
            target = real(path)
            if not is_inside(path, root):
                ignored["links that leave the folder"] += 1
                continue
            if target in above or not target.exists():
                ignored["links to nothing or to themselves"] += 1
                continue
        if target.is_dir():
            yield from _walk(path, root, (*above, real(path)), ignored)
        elif path.suffix.lower() in ENDINGS and target.is_file():
            yield path
        else:
            ignored["no pictures"] += 1


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name.

    Raises:
        UserError: for a folder that cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"dataset.path holds the folder {plain(str(folder))}, which cannot be read ({error.strerror});"
            " legal: folders that this user may read"
        ) from error
