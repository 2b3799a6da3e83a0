"""Groups by thresholds and by lists, and each sentence for what is wrong."""

from typing import Any

import numpy as np
import pytest

from peftlab.dataset.group import group_classes
from peftlab.dataset.long_tail import long_tail_counts
from peftlab.errors import UserError

NAMES = ["ship", "plane", "harbor", "bridge"]
COUNTS = np.array([101, 100, 20, 19], dtype=np.int64)


def test_both_thresholds_belong_to_medium() -> None:
    groups = group_classes({"many_above": 100, "few_below": 20}, NAMES, COUNTS)
    assert groups == {"head": [0], "medium": [1, 2], "tail": [3]}


def test_cifar100_groups_are_35_35_30() -> None:
    counts = long_tail_counts(np.full(100, 500, dtype=np.int64), imbalance=100.0, max_per_class=None)
    groups = group_classes({"many_above": 100, "few_below": 20}, [str(c) for c in range(100)], counts)
    assert [groups[name] for name in ("head", "medium", "tail")] == [
        list(range(35)),
        list(range(35, 70)),
        list(range(70, 100)),
    ]


def test_lists_of_names_and_ids() -> None:
    groups = group_classes({"head": ["plane", 0], "medium": None, "tail": ["bridge", 2]}, NAMES, COUNTS)
    assert groups == {"head": [0, 1], "medium": [], "tail": [2, 3]}


def test_a_key_set_to_null_counts_as_absent() -> None:
    given: dict[str, Any] = {"many_above": None, "few_below": None, "head": [0, 1], "tail": [2, 3]}
    assert group_classes(given, NAMES, COUNTS) == {"head": [0, 1], "medium": [], "tail": [2, 3]}


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"many": 3},
            r"^dataset\.groups\.many=3 is no way to make groups; legal: \{many_above: 100, few_below: 20\} or \{head",
        ),
        ({}, r"groups=\{\} is no way to make groups"),
        (
            {"many_above": 100, "few_below": 20, "head": [0]},
            r"few_below=20, dataset\.groups\.head=\[0\] is no way to make groups; legal",
        ),
        (
            {"many_above": "x", "few_below": 20},
            r"^dataset\.groups\.many_above=x is no count; legal: a number from 0",
        ),
        (
            {"many_above": 20, "few_below": 22},
            r"^dataset\.groups\.few_below=22 reaches into head; legal: up to 20",
        ),
        (
            {"head": ["ship", "shp"]},
            r"^dataset\.groups\.head names the class shp, .* legal: 0-3 or ship, plane",
        ),
        ({"head": [0, 1, 2, 4]}, r"^dataset\.groups\.head names the class 4,"),
        ({"head": [0, 1, 2], "tail": ["ship", 3]}, "^dataset.groups lists the class ship twice; legal: once"),
        ({"head": [0, 1], "tail": [2]}, "^dataset.groups leaves out bridge; legal: each class in one group"),
    ],
)
def test_wrong_groups(groups: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        group_classes(groups, NAMES, COUNTS)
