"""Which items of a run lie in two of its splits, by their content: told at its start, and refused where a split is a copy."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.dataset import Dataset
from peftlab.dataset.items import Contents
from peftlab.errors import UserError

MAX_COMPARED_BYTES = 2**30  # about two seconds
NAMED = 3  # pairs that the record names


class Part(NamedTuple):
    """The items `rows` of a source's split."""

    contents: Contents
    rows: Int64[np.ndarray, " n"]

    @property
    def sizes(self) -> Int64[np.ndarray, " n"]:
        """In bytes."""
        return self.contents.sizes[self.rows]


@dataclass(frozen=True)
class Overlap:
    """`twice` has, for each two splits, the items of the second that are in the first, as pairs of names.

    None if that is not known: more than 1 GiB would have to be read. `copies` are those two splits of which one has
    nothing of its own; `ignored` counts what lies beside the items.
    """

    num_items: dict[str, int]
    twice: dict[tuple[str, str], list[tuple[str, str]]] | None
    copies: list[tuple[str, str]]
    ignored: dict[str, int]

    def check(self) -> None:
        """Raises: UserError for a split without items, and for one whose items all lie in another."""
        if empty := [split for split, number in self.num_items.items() if not number]:
            raise UserError(
                f"dataset has no item in its split {empty[0]}; legal: at least one, or no validation split"
            )
        for pair in self.copies:
            one, other = (self.twice or {})[pair][0]
            raise UserError(
                f"dataset has the same items in {pair[0]} and {pair[1]} ({one} is {other}, and so on), so that nothing is left"
                " to tell them apart; legal: splits without a common item"
            )

    @property
    def line(self) -> str:
        """Counts, what is in two splits, and what was ignored and why."""
        if self.twice is None:
            found = "not compared, as too many are of the same size (peftlab-data check compares all)"
        elif "test" not in self.num_items:
            found = "test not compared, as this source does not tell what it holds"
        else:
            found = ", ".join(
                f"{len(pairs):,} of {other} also in {one}" for (one, other), pairs in self.twice.items()
            )
        ignored = ", ".join(f"{reason} {number:,}" for reason, number in self.ignored.items())
        counts = ", ".join(f"{number:,} {split}" for split, number in self.num_items.items())
        return f"{counts}; {found or 'no item in two splits'}; ignored: {ignored or 'nothing'}"

    @property
    def warnings(self) -> Iterator[str]:
        """A sentence for each two splits with a common item; it names the first ones."""
        for (one, other), pairs in (self.twice or {}).items():
            named = "; ".join(f"{second} is {first}" for first, second in pairs[:NAMED])
            rest = f"; and {len(pairs) - NAMED:,} more" if len(pairs) > NAMED else ""
            yield (
                f"{len(pairs):,} of {self.num_items[other]:,} items of {other} lie in {one}, too, so {other} is not independent of"
                f" it: {named}{rest}"
            )

    @property
    def saved(self) -> dict[str, Any]:
        """Plain values."""
        twice = {
            f"{one} and {other}": {"number": len(pairs), "first": [list(pair) for pair in pairs[:NAMED]]}
            for (one, other), pairs in (self.twice or {}).items()
        }
        return {
            "num_items": self.num_items,
            "in_two_splits": None if self.twice is None else twice,
            "ignored": self.ignored,
        }


def parts_of(dataset: Dataset) -> dict[str, Part]:
    """Training, validation and test, as far as their sources tell what they hold; of the test without its labels."""
    parts = {}
    for name, split in (("train", dataset.train), ("val", dataset.val)):
        contents = None if split is None else getattr(split.items, "contents", None)
        if split is not None and contents is not None:
            parts[name] = Part(contents, split.rows)
    if dataset.test_contents is not None:
        test = dataset.test_contents()
        parts["test"] = Part(test, np.arange(len(test.sizes), dtype=np.int64))
    return parts


def overlap(dataset: Dataset, parts: Mapping[str, Part]) -> Overlap:
    """Compares what has the same size as an item of another split, by sha256."""
    num_items = {"train": len(dataset.train)} | ({} if dataset.val is None else {"val": len(dataset.val)})
    num_items |= {name: len(part.rows) for name, part in parts.items()}
    ignored = {reason: number for reason, number in dataset.ignored.items() if number}
    alike = {name: part.rows[_alike(name, parts)] for name, part in parts.items()}
    if sum(int(parts[name].contents.sizes[rows].sum()) for name, rows in alike.items()) > MAX_COMPARED_BYTES:
        return Overlap(num_items, None, [], ignored)
    held = {name: _by_content(parts[name].contents, rows) for name, rows in alike.items()}
    twice, copies = {}, []
    for one, other in combinations(parts, 2):
        common = [content for content in held[other] if content in held[one]]
        if not common:
            continue
        first, second = parts[one].contents.describe, parts[other].contents.describe
        twice[one, other] = [
            (first(held[one][key][0]), second(row)) for key in common for row in held[other][key]
        ]
        in_both = (sum(len(held[split][key]) for key in common) for split in (one, other))
        whole = any(number == num_items[split] for number, split in zip(in_both, (one, other), strict=True))
        # a class of equal pictures is a toy, and no copy
        if whole and len(common) > len(dataset.class_names):
            copies.append((one, other))
    return Overlap(num_items, twice, copies, ignored)


def _alike(name: str, parts: Mapping[str, Part]) -> np.ndarray:
    """Which items have the size of an item of another split."""
    others = [part.sizes for other, part in parts.items() if other != name]
    return np.isin(parts[name].sizes, np.concatenate(others) if others else [])


def _by_content(contents: Contents, rows: Int64[np.ndarray, " n"]) -> dict[bytes, list[int]]:
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for row in rows.tolist():
        found[hashlib.sha256(contents.read(row)).digest()].append(row)
    return found
