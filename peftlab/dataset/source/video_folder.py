"""Any folder of class folders that hold videos."""

from collections import Counter
from pathlib import Path

import numpy as np

from peftlab.dataset.source.held_out import held_out
from peftlab.dataset.source.link import is_inside
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.tree import SPLITS, entries, is_hidden, pictures
from peftlab.dataset.source.video_file import ENDINGS
from peftlab.dataset.source.video_split import Broken, Listed, video_source
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.option import Fraction


def video_folder(path: str | None, *, test_fraction: Fraction, broken: Broken) -> Source:
    """`path/train/CLASS/*` and `path/test/CLASS/*` (and `val`), or `path/CLASS/*` alone: video files, or folders of frames.

    Labels follow the sorted class names. A folder without train/ gets a stratified test split of `test_fraction`, the same
    one always.

    Raises:
        UserError: for a missing folder, no class folder, a class without videos, and splits of different classes.
    """
    root = None if path is None or not path.strip() else expanded(path)
    if root is None or not root.is_dir():
        raise UserError(
            f"dataset.path={'null' if path is None else path} is not a folder; legal: a folder of class folders"
        )
    ignored: Counter[str] = Counter()
    folders = _split_folders(root)
    if not folders:
        names = _class_names(root)
        return video_source(
            names, _cut(_listed(root, names, root, ignored), names, test_fraction), broken, ignored
        )
    names = _class_names(folders["train"])
    for folder in folders.values():
        if difference := sorted(set(names) ^ set(_class_names(folder))):
            raise UserError(
                f"dataset.path={path} has {', '.join(map(plain, difference[:10]))} in {folders['train'].name}/ or {folder.name}/"
                " only; legal: the same class folders in both"
            )
    splits = {split: _listed(folder, names, root, ignored) for split, folder in folders.items()}
    return video_source(names, splits, broken, ignored)


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; none where the class folders lie in `root` itself."""
    there = {name.lower(): root / name for name in _folders(root)}
    found = {split: there[word] for split, words in SPLITS.items() for word in words if word in there}
    if not found:
        return {}
    if missing := [split for split in ("train", "test") if split not in found]:
        raise UserError(
            f"dataset.path={root} has {', '.join(f'{folder.name}/' for folder in found.values())} but no {missing[0]}/; legal:"
            " both, or class folders without them"
        )
    return found


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in entries(folder) if entry.is_dir() and not is_hidden(entry.name)]


def _class_names(folder: Path) -> list[str]:
    names = _folders(folder)
    if not names:
        raise UserError(
            f"dataset.path: {plain(str(folder))} holds no class folder; legal: one folder of videos per class"
        )
    return names


def _listed(folder: Path, names: list[str], root: Path, ignored: Counter[str]) -> Listed:
    found = Listed([], [])
    for label, name in enumerate(names):
        before = len(found.paths)
        for entry in entries(folder / name):
            path = Path(entry.path)
            if is_hidden(entry.name):
                ignored["hidden or of the system"] += 1
            elif not is_inside(path, root):
                ignored["links that leave the folder"] += 1
            elif _is_video(path):
                found.paths.append(path)
                found.labels.append(label)
            else:
                ignored["no videos"] += 1
        if len(found.paths) == before:
            raise UserError(
                f"dataset.path has the class folder {plain(str(folder / name))} without videos ({' '.join(ENDINGS)}, or folders of"
                " frames)"
            )
    return found


def _is_video(path: Path) -> bool:
    return bool(pictures(path, Counter())) if path.is_dir() else path.suffix.lower() in ENDINGS


def _cut(listed: Listed, names: list[str], fraction: float | int) -> dict[str, Listed]:
    labels = np.array(listed.labels, dtype=np.int64)
    test = set(held_out(labels, len(names), fraction, "video_folder_test").tolist())
    if not test:
        raise UserError(
            "dataset.path has one video of each class, which leaves no test video; legal: two or more of a class, or train/ and"
            " test/"
        )
    rows = range(len(labels))
    return {
        split: Listed([listed.paths[row] for row in own], [listed.labels[row] for row in own])
        for split, own in (
            ("train", [row for row in rows if row not in test]),
            ("test", sorted(test)),
        )
    }
