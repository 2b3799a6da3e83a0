"""Any folder of class folders."""

import unicodedata
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.source.files import files_contents, files_split
from peftlab.dataset.source.held_out import held_out
from peftlab.dataset.source.link import is_inside, real
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.tree import ENDINGS, SPLITS, entries, is_hidden, pictures
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.option import Fraction


def image_folder(path: str | None, *, test_fraction: Fraction, follow_links: bool) -> Source:
    """`path/train/CLASS/*` and `path/test/CLASS/*` (and `val`, `valid` or `validation`), or `path/CLASS/*` alone.

    Labels follow the sorted class names; files may lie in folders below the class. Hidden files and folders and what
    systems leave are passed over anywhere in the tree. A folder without train/ gets a stratified test split of
    `test_fraction`, the same one always. With `follow_links` what is linked may lie anywhere, else in the folder.

    Raises:
        UserError: for a missing folder, no class folder, a class without images or that is a link out of the folder,
            splits of different classes.
    """
    if path is None or not path.strip():
        raise UserError(
            f"dataset.path={'null' if path is None else path} names no folder; legal: a folder of class folders"
        )
    root = expanded(path)
    if not root.is_dir():
        raise UserError(f"dataset.path={path} is not a folder; legal: a folder of class folders")
    splits = _split_folders(root)
    bounds = Path(real(root).anchor) if follow_links else root
    if not splits:
        return _with_cut(root, test_fraction, bounds)
    return folders_source(root, splits, bounds)


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; none where the class folders lie in `root` itself."""
    found: dict[str, Path] = {}
    for entry in entries(root):
        split = next((split for split, words in SPLITS.items() if entry.name.lower() in words), None)
        if split is None or not entry.is_dir() or not _folders(Path(entry.path)):
            continue  # a class may be called train
        if split in found:
            raise UserError(
                f"dataset.path={root} has both {found[split].name}/ and {entry.name}/; legal: one folder for {split}"
            )
        found[split] = Path(entry.path)
    return found


def folders_source(root: Path, splits: dict[str, Path], bounds: Path) -> Source:
    """The class folders in the folder of each split, with the same classes in all.

    Raises:
        UserError: as `image_folder`, and for a split without a folder of its own.
    """
    if missing := [split for split in ("train", "test") if split not in splits]:
        there = ", ".join(f"{folder.name}/" for folder in splits.values())
        raise UserError(
            f"dataset.path={root} has {there} but no {missing[0]}/; legal: both, or class folders without them"
        )
    for folder in splits.values():
        _check_link(folder, bounds)
    names = _class_folders(splits["train"])
    for other in (folder for split, folder in splits.items() if split != "train"):
        if difference := sorted(set(names) ^ set(_class_folders(other))):
            raise UserError(
                f"dataset.path={root} has {', '.join(map(plain, difference[:10]))} in {splits['train'].name}/ or"
                f" {other.name}/ only; legal: the same class folders in both"
            )
    ignored: Counter[str] = Counter()
    read = {split: _list_files(folder, names, ignored, bounds) for split, folder in splits.items()}
    made = {split: partial(_split, *found, names) for split, found in read.items()}
    val = made["val"]() if "val" in made else None
    shown, test = [plain(name) for name in names], partial(files_contents, read["test"][0])
    return Source(shown, made["train"](), val, made["test"], ignored=ignored, test_contents=test)


def _with_cut(root: Path, test_fraction: float | int, bounds: Path) -> Source:
    names = _class_folders(root)
    ignored: Counter[str] = Counter()
    files, labels = _list_files(root, names, ignored, bounds)
    test = held_out(labels, len(names), test_fraction, "image_folder_test")
    if not len(test):
        raise UserError(
            f"dataset.path={root} has one image of each class, which leaves no test image; legal: two or more of a class,"
            " or train/ and test/"
        )
    train = np.setdiff1d(np.arange(len(files)), test)
    train_files, test_files = [files[row] for row in train], [files[row] for row in test]
    return Source(
        [plain(name) for name in names],
        _split(train_files, labels[train], names),
        None,
        partial(_split, test_files, labels[test], names),
        ignored=ignored,
        test_contents=partial(files_contents, test_files),
    )


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in entries(folder) if entry.is_dir() and not is_hidden(entry.name))


def _class_folders(folder: Path) -> list[str]:
    names = _folders(folder)
    if not names:
        raise UserError(
            f"dataset.path: {plain(str(folder))} holds no class folder; legal: one folder of images per class"
        )
    alike = Counter(unicodedata.normalize("NFC", name) for name in names)
    if double := [name for name, number in alike.items() if number > 1]:
        raise UserError(
            f"dataset.path: {plain(str(folder))} has two class folders that are both called {plain(double[0])}, written with"
            " other characters; legal: each class once"
        )
    return names


def _list_files(
    folder: Path, names: list[str], ignored: Counter[str], bounds: Path
) -> tuple[list[Path], Int64[np.ndarray, " n"]]:
    files: list[Path] = []
    labels: list[int] = []
    for entry in entries(folder):
        if entry.name not in names:
            ignored["hidden or of the system" if is_hidden(entry.name) else "outside the class folders"] += 1
    for label, name in enumerate(names):
        _check_link(folder / name, bounds)
        found = pictures(folder / name, ignored, bounds)
        if not found:
            raise UserError(
                f"dataset.path has the class folder {plain(str(folder / name))} without images ({' '.join(ENDINGS)})"
            )
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, dtype=np.int64)


def _check_link(folder: Path, bounds: Path) -> None:
    if not is_inside(folder, bounds):
        raise UserError(
            f"dataset.path has the folder {plain(str(folder))}, a link out of the data set to {plain(str(real(folder)))}; legal:"
            " folders inside it, or, if you made the link, dataset.source.follow_links=true"
        )


def _split(files: list[Path], labels: Int64[np.ndarray, " n"], names: list[str]) -> Split:
    return files_split(names, labels, files_contents(files))
