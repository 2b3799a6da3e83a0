"""Questions with answers in the hub's layout: classes, what tells two apart, and each sentence for what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.source.answer_hub import answer_hub
from peftlab.dataset.source.audit import audit
from peftlab.dataset.source.source import Source
from peftlab.dataset.text.texts import Texts
from peftlab.errors import UserError

KEYS: dict[str, Any] = {
    "hub_id": None,
    "folder": None,
    "config_name": None,
    "train_split": "train",
    "val_split": None,
    "test_split": "test",
    "question_column": "question",
    "answer_column": "answer",
    "label_column": None,
    "kind": None,
}
MORE = {"question": lambda row: f"What is {row % 3}?", "answer": lambda row: f"{row} + {row} * 1 = {row}"}


def find(root: Path, **keys: Any) -> Source:
    return answer_hub(str(root), **(KEYS | keys))


@pytest.fixture
def root(text_folder_of: Callable[..., Path]) -> Path:
    return text_folder_of({"train": ["x", "y", "y", "x"], "test": ["y", "x"]}, MORE)


def test_columns_and_one_class_for_all(root: Path) -> None:
    source = find(root)
    assert source.class_names == ["all"]
    assert source.train.labels.tolist() == [0, 0, 0, 0]
    assert isinstance(source.train.items, Texts)
    assert source.train.items.columns.answers == [f"{row} + {row} * 1 = {row}" for row in range(4)]
    assert source.train.items.take(source.train.rows[:1]) == [("What is 0?",)]


def test_classes_of_a_column_and_of_a_kind(root: Path) -> None:
    source = find(root, label_column="label")
    assert (source.class_names, source.train.labels.tolist()) == (["x", "y"], [0, 1, 1, 0])
    source = find(root, kind="operations")
    assert source.class_names[1] == "2 operations"
    assert source.train.labels.tolist() == [1, 1, 1, 1]
    assert source.open_test().labels.tolist() == [1, 1]
    with pytest.raises(
        UserError, match=r"kind=steps and label_column=label both say the classes; legal: one"
    ):
        find(root, label_column="label", kind="steps")


def test_a_question_is_the_same_whatever_its_answer(root: Path) -> None:
    """Row 3 asks what row 0 asks, and so do both test rows ask again."""
    found = audit(find(root))
    assert found.within() == 1
    assert found.across() == {("test", "train"): 2}


def test_answers_are_part_of_the_identity(root: Path) -> None:
    other = find(root, answer_column="question").train.items.fingerprint
    assert find(root).train.items.fingerprint != other


def test_a_column_that_is_missing(root: Path) -> None:
    with pytest.raises(
        UserError, match=r"dataset\.source\.answer_column=reply is not in the data set; legal: "
    ):
        find(root, answer_column="reply")


def test_a_silent_test_row_is_told_before_the_test_is_opened(text_folder_of: Callable[..., Path]) -> None:
    silent = {**MORE, "answer": lambda row: "a" if row < 2 else " "}
    source = find(text_folder_of({"train": [0], "test": [0, 0]}, silent))
    assert source.test_contents is not None
    with pytest.raises(
        UserError, match=r"answer_column=answer is empty in row 1 of the split test; legal: a text"
    ):
        source.test_contents()
