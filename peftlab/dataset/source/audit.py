"""What stands in a source: counts, duplicates across its splits by content, what its items are like, and what cannot be read."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from peftlab.dataset.items import Contents
from peftlab.dataset.source.encoded_split import stored_as
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.dataset.text.texts import Texts
from peftlab.dataset.video.videos import Videos
from peftlab.errors import UserError


@dataclass
class Audit:
    """`held` are the splits that each content (a hash of its pixels, or of its letters) lies in, with a name each.

    Of pictures `sizes` (width, height) and `modes` are counted, of videos sizes and frames, of texts the words of each.
    `classes` are those of each text.
    """

    num_items: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    num_turned: int = 0
    num_words: list[int] = field(default_factory=list)
    num_frames: list[int] = field(default_factory=list)
    classes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    unreadable: list[str] = field(default_factory=list)

    def across(self) -> dict[tuple[str, str], int]:
        """How many contents two splits share."""
        found: Counter[tuple[str, str]] = Counter()
        for places in self.held.values():
            found.update(combinations(sorted({split for split, _ in places}), 2))
        return dict(found)

    def example(self, one: str, other: str) -> str:
        """An item of the one split that is in the other, by both names."""
        places = next(dict(places) for places in self.held.values() if {one, other} <= dict(places).keys())
        return f"{places[one]} is {places[other]}"

    def within(self) -> int:
        """Items beyond the first of a content in its split."""
        return sum(len(places) - len({split for split, _ in places}) for places in self.held.values())

    def lines(self) -> list[str]:
        """What the items are like, for people."""
        if self.num_words:
            low, middle, high = np.percentile(self.num_words, (0, 50, 100)).astype(int).tolist()
            twice = sum(len(classes) > 1 for classes in self.classes.values())
            return [f"words: {low} to {high}, median {middle}", f"in two classes: {twice:,}"]
        if self.num_frames:
            low, middle, high = np.percentile(self.num_frames, (0, 50, 100)).astype(int).tolist()
            return [f"frames: {low} to {high}, median {middle}", f"sizes: {_sizes(self.sizes)}"]
        return [
            f"sizes: {_sizes(self.sizes)}",
            f"modes: {counted(self.modes) or 'arrays'}",
            f"turned upright by EXIF: {self.num_turned}",
        ]


def audit(source: Source) -> Audit:
    """Reads every item of every split, the test's too: for people who look at data, not for a run."""
    found = Audit()
    splits = {"train": source.train, "val": source.val, "test": source.open_test()}
    for name, split in splits.items():
        if split is not None:
            found.num_items[name] = len(split)
            for position, row in enumerate(split.rows.tolist()):
                if isinstance(split.items, Texts):
                    _read(found, name, split.items, row, int(split.labels[position]))
                elif isinstance(split.items, Videos):
                    _watch(found, name, split.items, row)
                else:
                    _look(found, name, split, row)
    return found


def counted(number: Mapping[Any, int]) -> str:
    """Names with their numbers."""
    return ", ".join(f"{key} {value:,}" for key, value in dict(number).items())


def _read(found: Audit, name: str, texts: Texts, row: int, label: int) -> None:
    content = hashlib.sha256(texts.contents.read(row)).hexdigest()
    found.held[content].append((name, texts.contents.describe(row)))
    found.classes[content].add(label)
    found.num_words.append(sum(len(text.split()) for text in texts.columns.words(row)))


def _watch(found: Audit, name: str, videos: Videos, row: int) -> None:
    """The first and the last frame are decoded."""
    try:
        (video,) = videos.take(np.array([row], dtype=np.int64))
        frames = video.read(sorted({0, video.num_frames - 1}))
    except UserError as error:
        found.unreadable.append(str(error))
        return
    content = hashlib.sha256(videos.contents.read(row)).hexdigest()
    found.held[content].append((name, videos.contents.describe(row)))
    found.sizes[frames.shape[2], frames.shape[1]] += 1
    found.num_frames.append(video.num_frames)


def _look(found: Audit, name: str, split: Split, row: int) -> None:
    try:
        pixels = split.items.take(np.array([row], dtype=np.int64))[0].numpy()
    except UserError as error:
        found.unreadable.append(str(error))
        return
    height, width = pixels.shape[1:]
    contents: Contents | None = getattr(split.items, "contents", None)
    said = f"row {row} of {name}" if contents is None else contents.describe(row)
    content = hashlib.sha256(f"{height} {width} ".encode() + pixels.tobytes()).hexdigest()
    found.held[content].append((name, said))
    found.sizes[width, height] += 1
    if contents is not None:
        mode, turn = stored_as(contents.read(row))
        found.modes[mode] += 1
        found.num_turned += turn != 1


def _sizes(sizes: Mapping[tuple[int, int], int]) -> str:
    if len(sizes) <= 1:
        return "".join(f"all {width} x {height}" for width, height in sizes)
    widths, heights = zip(*sizes, strict=True)
    return f"{len(sizes)}, {min(widths)}-{max(widths)} wide, {min(heights)}-{max(heights)} high"
