"""FGVC-Aircraft as it is published: lists of names of pictures, each with the name of its class behind it."""

from dataclasses import replace
from pathlib import Path

from peftlab.dataset.source.image_list import Classes, source_of
from peftlab.dataset.source.link import real
from peftlab.dataset.source.list_file import Listed, text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain


def aircraft(
    path: str | None,
    *,
    folder: str | None,
    image_root: str,
    names_file: str,
    train_list: str,
    val_list: str | None,
    test_list: str,
    follow_links: bool,
) -> Source:
    """Lists and pictures of one folder: `path` if given, else `$PEFTLAB_DATA/<folder>`.

    A line `1025794 707-320` of a list is the picture 1025794.jpg of the class 707-320. The classes are the lines of `names_file`, and
    their words are their names.

    Raises:
        UserError: for a file that is missing or leads out of the folder, a line that is no item, a class that is not in `names_file`
            or has nothing to train on, and a picture in two splits or in two classes.

    Source: Maji et al. 2013, arXiv:1306.5151.
    """
    root = folder_of(path, folder)
    bounds = Path(real(root).anchor) if follow_links else root
    text = text_of(root / names_file, f"dataset.source.names_file={names_file}", bounds)
    names = [line.strip() for line in text.rstrip().split("\n")]
    options = {
        "train": ("train_list", train_list),
        "val": ("val_list", val_list),
        "test": ("test_list", test_list),
    }
    lists = {split: _read(root, name, key, bounds) for split, (key, name) in options.items() if name}
    trained = set(lists["train"].labels)
    if empty := [name for name in names if name not in trained]:
        raise UserError(
            f"the class {plain(empty[0]) or 'of an empty line'} of {plain(str(root / names_file))} has no item in"
            f" {plain(str(lists['train'].file))}; legal: an item to train on for each"
        )
    classes = Classes(names, {name: number for number, name in enumerate(names)})
    found = source_of(lists, classes, root / image_root, bounds)
    return replace(found, own_words=found.class_names)


def _read(root: Path, name: str, key: str, bounds: Path) -> Listed:
    text = text_of(root / name, f"dataset.source.{key}={name}", bounds)
    items = [line.strip().split(maxsplit=1) for line in text.rstrip().split("\n")]
    for number, item in enumerate(items, 1):
        if len(item) != 2:
            raise UserError(
                f"the list {plain(str(root / name))} has {plain(' '.join(item))!r} in line {number}, which is no item; legal: the"
                " name of a picture without .jpg, and its class"
            )
    paths, labels = zip(*items, strict=True)
    return Listed(
        root / name, [f"{path}.jpg" for path in paths], list(labels), list(range(1, len(items) + 1))
    )
