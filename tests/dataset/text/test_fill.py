"""Training texts that the long tail leaves out, behind those of the test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures.text import TEXT_HUB

from peftlab.dataset.cut import Cuts, fewer_test, tail_cut
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.text_hub import text_hub
from peftlab.dataset.split import Split
from peftlab.dataset.text.fill import filled
from peftlab.errors import UserError

GROUPS = {"many_above": 10, "few_below": 5}
COUNTS = {"train": [0] * 20 + [1] * 20, "test": [0] * 7 + [1] * 1}


def cuts(seed: int = 0, imbalance: float | None = 10.0) -> Cuts:
    return Cuts(imbalance, None, seed, GROUPS, None, 0.0, 0)


@pytest.fixture
def source(text_folder_of: Callable[..., Path]) -> Source:
    return text_hub(str(text_folder_of(COUNTS)), **TEXT_HUB)


def words(split: Split) -> list[str]:
    return [words[0] for words in split.items.take(split.rows)]


def test_the_test_has_its_own_and_then_so_many_of_what_is_left_out(source: Source) -> None:
    test = filled(source, cuts(), 5).open_test()
    assert test.counts(2).tolist() == [7, 5]  # of class 0 none is left out, and its own stay
    assert words(test)[:8] == words(source.open_test())
    kept = set(words(tail_cut(source, cuts())))
    assert not kept & set(words(test)[8:])
    assert set(words(test)[8:]) < set(words(source.train))
    assert filled(source, cuts(), 100).open_test().counts(2).tolist() == [7, 1 + 18]


def test_it_is_drawn_by_the_seed_of_the_tail(source: Source) -> None:
    first, again, other = (filled(source, cuts(seed), 5).open_test() for seed in (0, 0, 1))
    assert words(first) == words(again) != words(other)


def test_its_items_are_named_by_where_they_are_from(source: Source) -> None:
    made = filled(source, cuts(), 5)
    assert made.test_contents is not None
    contents = made.test_contents()
    train = words(source.train)
    assert contents.describe(0) == "row 0 of the split test"
    assert contents.describe(8) == f"row {train.index(words(made.open_test())[8])} of the split train"
    assert len(contents.sizes) == 12


def test_a_text_that_trains_in_other_letters_is_not_drawn(text_folder_of: Callable[..., Path]) -> None:
    root = text_folder_of(
        COUNTS, {"same": lambda row: "One!" if row % 2 else "one" if row < 40 else f"test {row}"}
    )
    source = text_hub(str(root), **{**TEXT_HUB, "text_column": "same"})
    with pytest.raises(UserError, match="would have no effect"):
        filled(source, cuts(), 100)


def test_pairs_stay_pairs(text_folder_of: Callable[..., Path]) -> None:
    root = text_folder_of(COUNTS, {"more": lambda row: f"more {row}"})
    test = filled(text_hub(str(root), **{**TEXT_HUB, "pair_column": "more"}), cuts(), 3).open_test()
    assert {len(words) for words in test.items.take(test.rows)} == {2}
    assert len(test) == 7 + 3


def test_a_smaller_test_has_so_many_of_each_class(source: Source) -> None:
    whole, few = source.open_test(), fewer_test(source, 3, 0).open_test()
    assert few.counts(2).tolist() == [min(3, number) for number in whole.counts(2).tolist()]
    assert set(few.rows) < set(whole.rows)
    assert fewer_test(source, None, 0) is source


def test_nothing_is_opened_before_the_test_is(source: Source) -> None:
    def locked() -> Split:
        raise AssertionError("the test split was opened")

    shut = Source(source.class_names, source.train, None, locked)
    with pytest.raises(AssertionError, match="was opened"):
        filled(shut, cuts(), 5).open_test()
    with pytest.raises(AssertionError, match="was opened"):
        fewer_test(shut, 5, 0).open_test()


def test_a_tail_that_leaves_nothing_out(source: Source) -> None:
    with pytest.raises(UserError, match=r"^dataset\.fill_test=5 would have no effect"):
        filled(source, cuts(imbalance=None), 5)
    assert np.all(source.train.counts(2) == 20)
