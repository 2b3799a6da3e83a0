"""Base and new classes in closed form, and the lock on the labels of the test."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from peftlab.dataset.base_new import class_range, groups_of, of_classes, open_new
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError

NAMES = ["a_b", "C", "dE", "f", "g"]


@pytest.fixture
def source(word_split: Callable[[list[int]], Split]) -> Source:
    """Five classes, and another number of items of each in each split."""
    test = word_split([1, 2, 3, 4, 5])
    return Source(NAMES, word_split([5, 4, 3, 2, 1]), word_split([2, 2, 2, 2, 2]), lambda: test)


@pytest.mark.parametrize("number", [4, 5, 10, 37, 397])
def test_base_is_the_larger_first_half(number: int) -> None:
    base, new = class_range("base", number), class_range("new", number)
    assert [*base, *new] == list(class_range("all", number)) == list(range(number))
    assert len(base) == -(-number // 2)


def test_all_splits_are_cut_and_labels_begin_at_zero(source: Source) -> None:
    base, new = of_classes(source, "base"), of_classes(source, "new")
    assert (base.class_names, new.class_names) == (["a_b", "C", "dE"], ["f", "g"])
    assert (base.class_words, new.class_words) == (["a b", "C", "d E"], ["f", "g"])
    for split in ("train", "val", "open_test"):
        whole, first, second = (getattr(one, split) for one in (source, base, new))
        if split == "open_test":
            whole, first, second = whole(), first(), second()
        assert np.concatenate([first.counts(3), second.counts(2)]).tolist() == whole.counts(5).tolist()
        assert sorted([*first.rows, *second.rows]) == whole.rows.tolist()
        assert first.items is second.items is whole.items
        by_row = dict(zip(whole.rows.tolist(), whole.labels.tolist(), strict=True))
        assert [by_row[row] for row in first.rows.tolist()] == first.labels.tolist()
        assert [by_row[row] for row in second.rows.tolist()] == (second.labels + 3).tolist()
    assert of_classes(source, "all") is source


def test_words_of_a_file_are_cut_with_their_classes(source: Source) -> None:
    named = replace(source, own_words=["1", "2", "3", "4", "5"])
    assert of_classes(named, "base").class_words == ["1", "2", "3"]
    assert of_classes(named, "new").class_words == open_new(named).class_words == ["4", "5"]


def test_the_new_classes_are_those_that_base_leaves_out(source: Source) -> None:
    found, base = open_new(source), of_classes(source, "base")
    assert not set(found.class_names) & set(base.class_names)
    assert found.split.counts(2).tolist() == [4, 5]
    assert not set(found.split.rows) & set(base.open_test().rows)


def test_no_label_of_the_test_is_seen_before_it_is_opened(source: Source) -> None:
    def locked() -> Split:
        raise AssertionError("the test split was opened")

    shut = replace(source, open_test=locked)
    base = of_classes(shut, "base")
    for asked in (base.open_test, lambda: open_new(shut)):
        with pytest.raises(AssertionError, match="was opened"):
            asked()


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("classes", ["base", "new"])
def test_a_half_of_one_class(number: int, classes: Any, word_split: Callable[[list[int]], Split]) -> None:
    source = Source(NAMES[:number], word_split([1] * number), None, lambda: word_split([1] * number))
    with pytest.raises(
        UserError, match=rf"^dataset\.classes={classes} of {number} classes leaves 1 (base|new), so there is"
    ):
        of_classes(source, classes)


def test_lists_of_groups_lose_the_classes_that_are_left_out() -> None:
    lists = {"many_above": None, "few_below": None, "head": ["g", "a_b"], "medium": [1, "f"], "tail": ["dE"]}
    assert groups_of(lists, NAMES, "base") == {"head": ["a_b"], "medium": ["C"], "tail": ["dE"]}
    assert groups_of(lists, NAMES, "new") == {"head": ["g"], "medium": ["f"], "tail": []}
    assert groups_of(lists, NAMES, "all") is lists
    counted = {"many_above": 2, "few_below": 1, "head": None}
    assert groups_of(counted, NAMES, "base") is counted
    with pytest.raises(UserError, match=r"^dataset\.groups leaves out f"):
        groups_of({"head": ["a_b", "C", "dE", "g"]}, NAMES, "base")
