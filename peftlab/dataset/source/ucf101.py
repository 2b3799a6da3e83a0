"""UCF101: 101 actions, three published splits."""

from collections import Counter
from pathlib import Path
from typing import Literal

from peftlab.dataset.source.list_file import text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.video_split import Broken, Listed, on_disk, video_source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain


def ucf101(
    path: str | None,
    *,
    folder: str | None,
    lists: str,
    video_root: str,
    fold: Literal[1, 2, 3],
    broken: Broken,
) -> Source:
    """`lists/classInd.txt` (`1 ApplyEyeMakeup`), `trainlist01.txt` and `testlist01.txt` (`CLASS/v_CLASS_g01_c01.avi`, and in
    training its number), and the videos of `video_root`.

    Raises:
        UserError: for a file that is missing, or a line that is none of these.

    Source: Soomro et al. 2012, arXiv:1212.0402.
    """
    root = folder_of(path, folder)
    base = root / lists
    names = [_words(line, base / "classInd.txt")[1] for line in _lines(root, f"{lists}/classInd.txt")]
    number = {name: place for place, name in enumerate(names)}
    splits = {}
    for split in ("train", "test"):
        file = f"{lists}/{split}list{fold:02d}.txt"
        found = Listed([], [])
        for line in _lines(root, file):
            name = line.split()[0]
            label = name.partition("/")[0]
            if label not in number:
                raise UserError(
                    f"{plain(str(root / file))} has {plain(name)}, of a class that classInd.txt lacks; legal: CLASS/VIDEO.avi"
                )
            found.paths.append(on_disk(root / video_root, name))
            found.labels.append(number[label])
        splits[split] = found
    return video_source(names, splits, broken, Counter())


def _lines(root: Path, name: str) -> list[str]:
    text = text_of(root / name, "dataset.source.lists", root)
    return [line for line in text.splitlines() if line.strip()]


def _words(line: str, file: Path) -> list[str]:
    words = line.split()
    if len(words) != 2:
        raise UserError(f"{plain(str(file))} has the line {plain(line)!r}; legal: a number and a class")
    return words
