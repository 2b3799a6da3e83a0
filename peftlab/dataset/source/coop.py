"""The sets of CoOp's protocol: one `split_zhou_....json` with the pictures of all splits, and the words of each class."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from peftlab.dataset.source.image_list import Classes, source_of
from peftlab.dataset.source.link import real
from peftlab.dataset.source.list_file import Label, Listed, text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

LEGAL = 'legal: {"train": [[path, label, class name], ...], "val": ..., "test": ...}'


def coop(
    path: str | None,
    *,
    folder: str | None,
    image_root: str,
    split_file: str,
    val_split: str | None,
    follow_links: bool,
) -> Source:
    """A list and pictures of one folder: `path` if given, else `$PEFTLAB_DATA/<folder>`.

    The classes are the labels that training has, in their order. Their words are the names of the list, with a space for each
    underscore and nothing else changed.

    Raises:
        UserError: for a file that is missing or leads out of the folder, a list of another form, a label of two names, one that
            is not of training, and a picture in two splits or in two classes.

    Source: Zhou et al. 2022, arXiv:2109.01134; the lists are those of https://github.com/KaiyangZhou/CoOp.
    """
    root = folder_of(path, folder)
    bounds = Path(real(root).anchor) if follow_links else root
    option = f"dataset.source.split_file={split_file}"
    held = _held(root / split_file, text_of(root / split_file, option, bounds))
    names: dict[Label, str] = {}
    parts = {"train": "train", **({"val": val_split} if val_split else {}), "test": "test"}
    lists = {split: _listed(root / split_file, held, part, names) for split, part in parts.items()}
    ids = {label: number for number, label in enumerate(sorted(set(lists["train"].labels), key=int))}
    classes = Classes([names[label] for label in ids], ids)
    found = source_of(lists, classes, root / image_root, bounds)
    return replace(found, own_words=[name.replace("_", " ") for name in found.class_names])


def _held(file: Path, text: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the list {plain(str(file))} is no JSON ({error}); {LEGAL}") from error
    if not isinstance(found, dict):
        raise UserError(f"the list {plain(str(file))} holds no mapping; {LEGAL}")
    return found


def _listed(file: Path, held: dict[str, Any], part: str, names: dict[Label, str]) -> Listed:
    """The items of a split; `names` gets the name of each label that is new."""
    items = held.get(part)
    if not isinstance(items, list) or not items:
        raise UserError(f"the list {plain(str(file))} has no items in {plain(part)}; {LEGAL}")
    paths, labels = zip(*_entries(file, items, part, names), strict=True)
    return Listed(file, list(paths), list(labels), list(range(1, len(items) + 1)), part)


def _entries(file: Path, items: list[Any], part: str, names: dict[Label, str]) -> Iterator[tuple[str, Label]]:
    for number, item in enumerate(items, 1):
        where = f"entry {number} of {plain(part)} in {plain(str(file))}"
        if (
            not isinstance(item, list)
            or [type(value) for value in item] != [str, int, str]
            or not item[2].strip()
        ):
            raise UserError(
                f"{where} is {plain(str(item)[:80])}, which is no item; legal: [path, label, class name]"
            )
        path, label, name = item
        if names.setdefault(label, name) != name:
            raise UserError(
                f"{where} calls the class {label} {plain(name)}, and another entry {plain(names[label])}; legal: one name"
            )
        yield path, label
