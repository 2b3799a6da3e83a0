"""The cuts in closed form, of items that are no pictures, and each sentence for a wrong value."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from peftlab.dataset.dataset import Dataset
from peftlab.dataset.split import Split
from peftlab.errors import UserError


def test_validation_takes_a_share_of_each_class_and_groups_come_before_it(
    cut: Callable[..., Dataset],
) -> None:
    built = cut([16, 8, 2, 1], val_fraction=0.5, groups={"many_above": 15, "few_below": 2})
    assert built.val is not None
    assert built.val.counts(4).tolist() == [8, 4, 1, 0]
    assert built.counts.tolist() == [8, 4, 1, 1]
    assert sorted([*built.train.rows, *built.val.rows]) == list(range(27))
    assert built.groups == {"head": [0], "medium": [1, 2], "tail": [3]}
    assert json.loads(json.dumps(built.index)) == {
        "train": built.train.rows.tolist(), "val": built.val.rows.tolist()
    }  # fmt: skip


def test_the_last_item_of_a_class_trains(cut: Callable[..., Dataset]) -> None:
    built = cut([10, 3, 1], val_fraction=0.9)
    assert built.counts.tolist() == [1, 1, 1]


def test_only_the_runs_seed_moves_validation_and_only_seed_moves_the_tail(
    cut: Callable[..., Dataset],
) -> None:
    def rows(run_seed: int, seed: int) -> tuple[list[int], list[int]]:
        built = cut([30, 30], run_seed, imbalance=3.0, seed=seed, val_fraction=0.5)
        assert built.val is not None
        return sorted([*built.train.rows, *built.val.rows]), built.val.rows.tolist()

    (all_00, val_00), (all_10, val_10), (all_01, _) = rows(0, 0), rows(1, 0), rows(0, 1)
    assert all_00 == all_10 != all_01
    assert val_00 != val_10
    assert rows(0, 0) == (all_00, val_00)


def test_groups_of_another_imbalance(cut: Callable[..., Dataset]) -> None:
    thresholds = {"many_above": 50, "few_below": 26}
    assert cut([100] * 3, imbalance=2.0, groups=thresholds).groups["tail"] == []
    built = cut([100] * 3, imbalance=2.0, groups=thresholds, group_counts_imbalance=4.0)
    assert built.groups == {"head": [0], "medium": [1], "tail": [2]}  # 100, 50, 25
    assert built.counts.tolist() == [100, 70, 50]


def test_a_validation_split_of_the_source_is_used(
    cut: Callable[..., Dataset], word_split: Callable[..., Split]
) -> None:
    own = word_split([3, 1])
    assert cut([30, 30], val=own).val is own
    with pytest.raises(
        UserError, match=r"^dataset\.val_fraction=0\.1 but the data set has its own .*; legal: 0"
    ):
        cut([30, 30], val=own, val_fraction=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_fraction": 1.0}, "val_fraction=1.0 of 16 items leaves no training"),
        ({"val_fraction": 0.01}, "val_fraction=0.01 of 16 items leaves no validation"),
        ({"imbalance": 0.5}, "imbalance=0.5 is below 1"),
        ({"group_counts_imbalance": 0.5}, "group_counts_imbalance=0.5 is below 1"),
        (
            {"groups": {"head": [0], "tail": [1]}, "group_counts_imbalance": 5.0},
            "group_counts_imbalance=5.0 would have no",
        ),
    ],
)
def test_wrong_values(cut: Callable[..., Dataset], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^dataset.{message}"):
        cut([8, 8], **changes)
