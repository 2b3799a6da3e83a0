"""ImageNet as CoOp and CLIP's followers keep it: class folders of codes, tested on its validation images, with a file of words."""

from dataclasses import replace
from pathlib import Path

from peftlab.dataset.source.image_folder import folders_source
from peftlab.dataset.source.link import real
from peftlab.dataset.source.list_file import text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.where import folder_of
from peftlab.dataset.words import words_in
from peftlab.errors import MissingData
from peftlab.inputs.plain import plain


def imagenet(
    path: str | None,
    *,
    folder: str | None,
    train_folder: str,
    test_folder: str,
    names_file: str,
    follow_links: bool,
) -> Source:
    """Folders and a file of words in one folder: `path` if given, else `$PEFTLAB_DATA/<folder>`. Labels follow the sorted codes.

    Raises:
        UserError: for a folder or file that is missing, as `image_folder` for what is in them, and as `read_words`.
    """
    root = folder_of(path, folder)
    bounds = Path(real(root).anchor) if follow_links else root
    splits = {"train": root / train_folder, "test": root / test_folder}
    for split, place in splits.items():
        if not place.is_dir():
            raise MissingData(
                f"dataset.source.{split}_folder: there is no folder {plain(str(place))}; legal: a folder of class folders"
            )
    option = f"dataset.source.names_file={names_file}"
    text = text_of(root / names_file, option, bounds)
    found = folders_source(root, splits, bounds)
    return replace(found, own_words=words_in(text, found.class_names, option))
