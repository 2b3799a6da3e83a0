"""Texts by row, what tells two apart, and the hash of a split."""

import numpy as np
import pytest

from peftlab.dataset.items import Items
from peftlab.dataset.text.texts import Columns, Texts, normalised, text_contents, text_split

LABELS = np.array([0, 1, 0], dtype=np.int64)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is it?", "what is it"),
        ("it 's  fine", "It's fine !"),
        ("in-depth", "in depth"),
        ("a_b", "A B"),
        ("Grüße, 12 mal", "grüße 12 mal"),
    ],
)
def test_case_punctuation_and_spaces_are_aside(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a b", "ab"), ("12", "1 2"), ("?!", "!?"), ("?", ""), ("é", "e")]
)
def test_what_stays_apart(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_a_pair_is_no_single_text() -> None:
    pair = text_contents(Columns(["a b"], ["c"]), str)
    moved = text_contents(Columns(["a"], ["b c"]), str)
    alone = text_contents(Columns(["a b c"], None), str)
    assert len({found.read(0) for found in (pair, moved, alone)}) == 3
    assert pair.sizes.tolist() == [len(pair.read(0))]


def test_texts_are_items() -> None:
    split = text_split(
        ["x", "y"], LABELS, Columns(["a", "b", "c"], ["d", "e", "f"]), lambda row: f"line {row}"
    )
    assert isinstance(split.items, Items)
    assert isinstance(split.items, Texts)
    assert split.items.noun == "texts"
    assert split.items.take(np.array([2, 0])) == [("c", "f"), ("a", "d")]
    assert split.items.contents.describe(1) == "line 1"
    assert split.rows.tolist() == [0, 1, 2]


def test_the_hash_sees_names_labels_and_texts_and_not_where_they_are_from() -> None:
    def hashed(
        names: str = "xy", labels: np.ndarray = LABELS, first: str = "abc", second: str | None = None
    ) -> str:
        columns = Columns(list(first), None if second is None else list(second))
        return text_split(list(names), labels, columns, str).items.fingerprint

    moved = text_split(["x", "y"], LABELS, Columns(["ab", "", "c"], None), str).items.fingerprint
    others = [
        hashed("xz"),
        hashed(labels=LABELS[::-1].copy() * 0),
        hashed(first="abd"),
        hashed(second="abc"),
        moved,
    ]
    assert len({hashed(), *others}) == 6
    columns = Columns(list("abc"), None)
    assert text_split(["x", "y"], LABELS, columns, lambda _row: "elsewhere").items.fingerprint == hashed()
