"""Any folder of class folders."""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class
from peftlab.dataset.source.encoded_split import encoded_split
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.option import Fraction

CUT_SEED = 0
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def image_folder(path: str | None, *, test_fraction: Fraction) -> Source:
    """`path/train/CLASS/*` and `path/test/CLASS/*` (and `val` or `valid`), or `path/CLASS/*` alone.

    Labels follow the sorted class names; files may lie in folders below the class. A folder without train/
    gets a stratified test split of `test_fraction`, the same one always.

    Raises:
        UserError: for a missing folder, no class folder, a class without images, splits of different classes.
    """
    if path is None:
        raise UserError("dataset.path=null names no folder; legal: a folder of class folders")
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset.path={path} is not a folder; legal: a folder of class folders")
    if _class_folders(root / "train"):
        return _with_splits(root)
    return _with_cut(root, test_fraction)


def _with_splits(root: Path) -> Source:
    val = next((root / name for name in ("val", "valid") if (root / name).is_dir()), None)
    test = root / "test"
    if not test.is_dir():
        raise UserError(
            f"dataset.path={root} has train/ but no test/; legal: both, or class folders without train/"
        )
    names = _class_folders(root / "train")
    for other in [test] if val is None else [val, test]:
        if difference := sorted(set(names) ^ set(_class_folders(other))):
            raise UserError(
                f"dataset.path={root} has {', '.join(difference[:10])} in train/ or {other.name}/ only; "
                "legal: the same class folders in both"
            )
    train_split = _read_split(root / "train", names)
    val_split = None if val is None else _read_split(val, names)
    return Source(names, train_split, val_split, partial(_read_split, test, names))


def _with_cut(root: Path, test_fraction: float) -> Source:
    names = _class_folders(root)
    if not names:
        raise UserError(f"dataset.path={root} holds no class folder; legal: one folder of images per class")
    if not 0 < test_fraction < 1:
        raise UserError(
            f"dataset.source.test_fraction={test_fraction} leaves a split empty; legal: above 0, below 1"
        )
    files, labels = _list_files(root, names)
    counts = np.bincount(labels, minlength=len(names)).astype(np.int64)
    # A class with one image trains and is absent from the test, which the metrics count.
    num_test = np.minimum(np.maximum(share_per_class(counts, test_fraction), 1), counts - 1)
    test = draw_per_class(labels, num_test, CUT_SEED, "image_folder_test")
    train = np.setdiff1d(np.arange(len(files)), test)
    train_files, test_files = [files[row] for row in train], [files[row] for row in test]
    return Source(
        names,
        _split(train_files, labels[train], names),
        None,
        partial(_split, test_files, labels[test], names),
    )


def _class_folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _list_files(folder: Path, names: list[str]) -> tuple[list[Path], Int64[np.ndarray, " n"]]:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(
            file for file in (folder / name).rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()
        )
        if not found:
            raise UserError(
                f"dataset.path has the class folder {folder / name} without images ({' '.join(ENDINGS)})"
            )
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, dtype=np.int64)


def _read_split(folder: Path, names: list[str]) -> Split:
    files, labels = _list_files(folder, names)
    return _split(files, labels, names)


def _split(files: list[Path], labels: Int64[np.ndarray, " n"], names: list[str]) -> Split:
    sizes = np.array([file.stat().st_size for file in files], dtype=np.int64)
    return encoded_split(names, labels, sizes, partial(_read_file, files), partial(_describe, files))


def _read_file(files: list[Path], row: int) -> bytes:
    return files[row].read_bytes()


def _describe(files: list[Path], row: int) -> str:
    return str(files[row])
