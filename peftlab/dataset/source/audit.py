"""What stands in a source: counts, duplicates across its splits by content, sizes, modes, and what cannot be read."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from peftlab.dataset.items import Contents
from peftlab.dataset.source.encoded_split import stored_as
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError


@dataclass
class Audit:
    """`held` are the splits that each content (a hash of its pixels) lies in, with a name each; the rest is counted by kind."""

    num_items: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    num_turned: int = 0
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


def audit(source: Source) -> Audit:
    """Decodes every item of every split, the test's too: for people who look at data, not for a run."""
    found = Audit()
    splits = {"train": source.train, "val": source.val, "test": source.open_test()}
    for name, split in splits.items():
        if split is not None:
            found.num_items[name] = len(split)
            for row in split.rows:
                _look(found, name, split, int(row))
    return found


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
