"""`peftlab-data prepare`: what has to be made of a published data set before its lists can be read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peftlab.dataset.source.dota import crop_objects
from peftlab.dataset.source.list_file import text_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

SPLITS = ("train", "val", "test")


def lists_of_names(name: str, root: Path, source: Mapping[str, Any]) -> dict[str, str]:
    """Lists of `CLASS/CLASS_1.jpg label` from those of `CLASS_1.jpg`, as Neumann et al. 2019 (arXiv:1911.06721) publish them.

    `root` has NAME-train.txt, NAME-val.txt and NAME-test.txt. Labels follow the sorted classes of training.

    Raises:
        UserError: for a list that is missing, and for a line that is no such name.
    """
    read = {split: _names(root / f"{name}-{split}.txt", root) for split in SPLITS}
    classes = sorted({_class(file) for file in read["train"]})
    unknown = [file for files in read.values() for file in files if _class(file) not in classes]
    if unknown:
        raise UserError(
            f"{plain(unknown[0])} of {name} has no class of {name}-train.txt; legal: {', '.join(map(plain, classes))}"
        )
    return {
        source[f"{split}_list"]: "".join(
            f"{_class(file)}/{file} {classes.index(_class(file))}\n" for file in read[split]
        )
        for split in SPLITS
    }


def _names(file: Path, root: Path) -> list[str]:
    names = text_of(file, file.name, root).split()
    for name in names:
        if not _class(name) or "/" in name:
            raise UserError(f"{plain(str(file))} has {plain(name)}; legal: names of files as CLASS_1.jpg")
    return names


def _class(name: str) -> str:
    return name.rpartition("_")[0]


# by the name of a choice of `dataset`: what its source's lists hold, by their names, from a folder and the source's options
PREPARED: dict[str, Callable[[str, Path, Mapping[str, Any]], dict[str, str]]] = {
    "dota": crop_objects,
    "eurosat": lists_of_names,
    "resisc45": lists_of_names,
}
