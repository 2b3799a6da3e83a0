"""Splits of videos that are files or folders of frames on a disk."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from peftlab.dataset.items import Contents
from peftlab.dataset.source.encoded_split import MAX_HASHED_BYTES, fingerprint
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.video_file import decoder, opened, video_contents
from peftlab.dataset.split import Split
from peftlab.dataset.video.videos import Video, Videos
from peftlab.errors import MissingData, UserError
from peftlab.inputs.plain import plain

Broken = Literal["refuse", "skip"]
NAMED = 3  # videos that were skipped, by name


class Listed(NamedTuple):
    """The videos of a split, and the class of each."""

    paths: list[Path]
    labels: list[int]


def video_source(
    class_names: Sequence[str], splits: Mapping[str, Listed], broken: Broken, ignored: Counter[str]
) -> Source:
    """Splits `train` and `test`, and `val` where there is one.

    With `broken=refuse` a missing video is said here, and one that cannot be decoded when a clip of it is wanted. With `skip`
    each is opened once, without a frame being decoded: what is missing or cannot be opened is left out, counted and named.

    Raises:
        UserError: for a missing video, and a split of which nothing is left.
    """
    kept = {split: _kept(split, listed, broken, ignored) for split, listed in splits.items()}
    names = [plain(name) for name in class_names]
    contents = {split: video_contents(listed.paths) for split, listed in kept.items()}
    made = {split: partial(_split, names, listed, contents[split]) for split, listed in kept.items()}
    val = made["val"]() if "val" in made else None
    test = partial(Contents, *contents["test"])
    return Source(names, made["train"](), val, made["test"], ignored=ignored, test_contents=test)


def on_disk(base: Path, name: str) -> Path:
    """`base/name`, or the folder of frames that is called like that file without its ending."""
    path = base / name
    folder = path.with_suffix("")
    return folder if not path.exists() and folder.is_dir() else path


def _kept(split: str, listed: Listed, broken: Broken, ignored: Counter[str]) -> Listed:
    """The videos that are used."""
    missing = {path for path in listed.paths if not path.exists()}
    if broken == "refuse":
        if missing:
            raise MissingData(
                f"dataset.path lacks {len(missing):,} of {len(listed.paths):,} videos of {split}, as"
                f" {plain(str(min(missing)))}; legal: all of them, or dataset.source.broken=skip"
            )
        return listed
    lost = {path for path in listed.paths if path not in missing and not _opens(path)}
    for word, paths in (("missing", missing), ("broken", lost)):
        if paths:
            first = ", ".join(plain(path.name) for path in sorted(paths)[:NAMED])
            ignored[f"{word} videos of {split} ({first}{', ...' if len(paths) > NAMED else ''})"] += len(
                paths
            )
    used = [pair for pair in zip(*listed, strict=True) if pair[0] not in missing | lost]
    if not used:
        raise UserError(f"dataset.path has no video of {split} that can be opened; legal: at least one")
    return Listed([path for path, _ in used], [label for _, label in used])


def _opens(path: Path) -> bool:
    if not path.is_dir():
        decoder()  # where there is none, that says nothing of the video
    try:
        return opened(path).num_frames > 0
    except UserError:
        return False


def _split(names: Sequence[str], listed: Listed, contents: Contents) -> Split:
    labels = np.array(listed.labels, dtype=np.int64)
    key = fingerprint(names, labels, contents)
    videos = Videos(partial(_opened, listed.paths), fingerprint=key, contents=contents)
    videos.is_hashed = int(contents.sizes.sum()) < MAX_HASHED_BYTES
    return Split(videos, labels, np.arange(len(labels), dtype=np.int64))


def _opened(paths: Sequence[Path], row: int) -> Video:
    return opened(paths[row])
