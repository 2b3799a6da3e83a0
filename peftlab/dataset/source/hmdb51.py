"""HMDB51: 51 actions, three published splits."""

from collections import Counter
from typing import Literal

from peftlab.dataset.source.list_file import text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.tree import entries
from peftlab.dataset.source.video_split import Broken, Listed, on_disk, video_source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import MissingData, UserError
from peftlab.inputs.plain import plain

USES = {"0": None, "1": "train", "2": "test"}


def hmdb51(
    path: str | None,
    *,
    folder: str | None,
    lists: str,
    video_root: str,
    fold: Literal[1, 2, 3],
    broken: Broken,
) -> Source:
    """`lists/CLASS_test_split1.txt` with a line `VIDEO.avi USE` for each video of a class, whose use is 1 (to train), 2 (to test)
    or 0 (neither), and the videos `video_root/CLASS/VIDEO.avi`.

    Raises:
        UserError: for lists that are missing, or a line that is none of these.

    Source: Kuehne et al. 2011, ICCV.
    """
    root = folder_of(path, folder)
    end = f"_test_split{fold}.txt"
    base = root / lists
    there = [entry.name for entry in entries(base) if entry.name.endswith(end)] if base.is_dir() else []
    if not there:
        raise MissingData(
            f"dataset.source.lists={lists}: {plain(str(base))} has no file CLASS{end}; legal: one for each class"
        )
    names = [name.removesuffix(end) for name in there]
    splits = {"train": Listed([], []), "test": Listed([], [])}
    for label, (name, file) in enumerate(zip(names, there, strict=True)):
        for line in text_of(base / file, f"dataset.source.lists={lists}", root).splitlines():
            video, _, use = line.strip().rpartition(" ")
            if not line.strip():
                continue
            if not video or use not in USES:
                raise UserError(
                    f"{plain(str(base / file))} has the line {plain(line)!r}; legal: a video and 0, 1 or 2"
                )
            split = USES[use]
            if split is not None:
                splits[split].paths.append(on_disk(root / video_root, f"{name}/{video.strip()}"))
                splits[split].labels.append(label)
    return video_source(names, splits, broken, Counter())
