"""Pictures that published lists name: one list for each split."""

import os
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.items import Contents
from peftlab.dataset.source.files import files_contents, files_split
from peftlab.dataset.source.link import is_inside, real
from peftlab.dataset.source.list_file import Label, Listed, read_list, text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import MissingData, UserError
from peftlab.inputs.plain import plain
from peftlab.option import PositiveInt

OPTIONS = {"train": "train_list", "val": "val_list", "test": "test_list"}


class Classes(NamedTuple):
    """Names in the order of the classes, and the class of each label that a list may have."""

    names: list[str]
    ids: dict[Label, int]


def image_list(
    path: str | None,
    *,
    folder: str | None,
    image_root: str,
    train_list: str,
    val_list: str | None,
    test_list: str,
    names_file: str | None,
    labels: Literal["numbers", "sorted"],
    num_classes: PositiveInt | None,
    follow_links: bool,
) -> Source:
    """Lists and pictures of one folder: `path` if given, else `$PEFTLAB_DATA/<folder>`.

    With labels=numbers a label is the number of its class, and all up to `num_classes` (null: up to the largest of training)
    are classes. With labels=sorted the classes are the values that training has, in their order. Class names are the lines of
    `names_file`, else the folders of the pictures where each class has one of its own, else the labels.

    Raises:
        UserError: for a file that is missing or leads out of the folder, a label that is in no class, a class without a
            training item (unless `num_classes` is given), and a picture in two splits or in two classes.
    """
    root = folder_of(path, folder)
    bounds = Path(real(root).anchor) if follow_links else root
    given = {
        split: name for split, name in zip(OPTIONS, (train_list, val_list, test_list), strict=True) if name
    }
    lists = {split: read_list(root, name, OPTIONS[split], bounds) for split, name in given.items()}
    named = None if names_file is None else _lines(root, names_file, bounds)
    classes = _classes(lists["train"], labels, num_classes, named)
    return source_of(lists, classes, root / image_root, bounds)


def source_of(lists: dict[str, Listed], classes: Classes, base: Path, bounds: Path) -> Source:
    """The pictures that the lists of the splits name, below `base` and, unless that is everywhere, inside `bounds`.

    Raises:
        UserError: for a picture that is missing, leads out of `bounds`, or is in two splits or in two classes, and for a label
            that is in no class.
    """
    found = {split: _class_ids(listed, classes, lists["train"]) for split, listed in lists.items()}
    _check_apart(lists)
    contents = {split: _contents(listed, base, bounds) for split, listed in lists.items()}
    made = {split: partial(files_split, classes.names, found[split], own) for split, own in contents.items()}
    val = made["val"]() if "val" in made else None
    shown, test = [plain(name) for name in classes.names], partial(Contents, *contents["test"])
    return Source(shown, made["train"](), val, made["test"], test_contents=test)


def _lines(root: Path, name: str, bounds: Path) -> list[str]:
    text = text_of(root / name, f"dataset.source.names_file={name}", bounds)
    return [line.strip() for line in text.rstrip().split("\n")]


def _classes(
    train: Listed, labels: Literal["numbers", "sorted"], num_classes: int | None, named: list[str] | None
) -> Classes:
    values: Sequence[Label]
    if labels == "sorted":
        are_numbers = all(isinstance(label, int) for label in train.labels)
        values = sorted(set(train.labels), key=None if are_numbers else str)  # type: ignore[type-var]
    else:
        values = range(num_classes or (len(named) if named else _largest(train) + 1))
    for key, number in (
        ("dataset.source.num_classes", num_classes),
        ("dataset.source.names_file with a number of lines", named and len(named)),
    ):
        if number is not None and number != len(values):
            raise UserError(f"{key}={number} does not fit {len(values)} classes; legal: as many")
    trained = set(train.labels)
    empty = next((value for value in values if value not in trained), None)
    if num_classes is None and empty is not None:
        raise UserError(
            f"the class {plain(str(empty))} has no item in {plain(str(train.file))}; legal: an item to train on for each, or"
            " dataset.source.num_classes=NUMBER, with which classes may have none"
        )
    names = named or _folders(train, values) or [str(value) for value in values]
    return Classes(names, {value: number for number, value in enumerate(values)})


def _largest(train: Listed) -> int:
    for row, label in enumerate(train.labels):
        _check_number(train, row, label)
    return max(label for label in train.labels if isinstance(label, int))


def _check_number(listed: Listed, row: int, label: Label) -> None:
    if not isinstance(label, int) or label < 0:
        raise UserError(
            f"{listed.item(row)} has the label {plain(str(label))}; legal: a whole number from 0, or dataset.source.labels=sorted"
        )


def _folders(train: Listed, values: Sequence[Label]) -> list[str] | None:
    """The folder of each class; none if two share one, or one has several."""
    found: dict[Label, str] = {}
    for path, label in zip(train.paths, train.labels, strict=True):
        folder = os.path.basename(os.path.dirname(path))
        if not folder or found.setdefault(label, folder) != folder:
            return None
    return (
        [found[value] for value in values] if len(set(found.values())) == len(found) == len(values) else None
    )


def _class_ids(listed: Listed, classes: Classes, train: Listed) -> Int64[np.ndarray, " n"]:
    for row, label in enumerate(listed.labels):
        if label not in classes.ids:
            legal = [plain(str(value)) for value in classes.ids]
            words = f"{legal[0]} to {legal[-1]}" if len(legal) > 10 else ", ".join(legal)
            raise UserError(
                f"{listed.item(row)} has the label {plain(str(label))}, which is no class; legal: those of"
                f" {plain(str(train.file))}, {words}"
            )
    return np.array([classes.ids[label] for label in listed.labels], dtype=np.int64)


def _check_apart(lists: dict[str, Listed]) -> None:
    """Raises: UserError for a picture that two lists name, or one list with two labels."""
    seen: dict[str, tuple[Listed, int]] = {}
    for listed in lists.values():
        for row, path in enumerate(listed.paths):
            other, first = seen.setdefault(os.path.normpath(path), (listed, row))
            if other is not listed or other.labels[first] != listed.labels[row]:
                where = "once" if other is not listed else "with one label"
                raise UserError(
                    f"{listed.item(row)} names {plain(path)}, and so does {other.item(first)}; legal: each picture {where}"
                )


def _contents(listed: Listed, base: Path, bounds: Path) -> Contents:
    """The pictures of a list, all of which are there."""
    inside: dict[str, bool] = {}
    files, sizes = [], []
    for row, path in enumerate(listed.paths):
        file = os.path.join(base, path)
        parent = os.path.dirname(file)
        if parent not in inside:
            inside[parent] = is_inside(Path(parent), bounds)
        if not inside[parent] or (os.path.islink(file) and not is_inside(Path(file), bounds)):
            raise UserError(
                f"{listed.item(row)} names {plain(path)}, which leads out of {plain(str(bounds))}; legal: files inside it, or, if"
                " you made the link, dataset.source.follow_links=true"
            )
        size = _size(file)
        if size is None:
            raise MissingData(
                f"{listed.item(row)} names {plain(path)}, and there is no file {plain(file)}; legal: files that exist, below"
                " dataset.source.image_root"
            )
        files.append(Path(file))
        sizes.append(size)
    return files_contents(files, np.array(sizes, dtype=np.int64))


def _size(file: str) -> int | None:
    """In bytes; None for what is no file."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):  # a zero byte in a name
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
