"""Questions with answers of one's own, in files."""

import json
from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.source.answer_folder import answer_folder
from peftlab.dataset.source.source import Source
from peftlab.dataset.text.texts import Texts
from peftlab.errors import UserError

KEYS: dict[str, Any] = {
    "question_column": "question",
    "answer_column": "answer",
    "label_column": None,
    "test_fraction": 0.25,
}


def find(path: Path, **keys: Any) -> Source:
    return answer_folder(str(path), **(KEYS | keys))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [{"question": f"q {row}", "answer": f"a {row}", "from": "xy"[row % 2]} for row in range(8)]
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "all.jsonl"


def test_one_file_is_cut(file: Path) -> None:
    source = find(file)
    test = source.open_test()
    assert (source.class_names, len(source.train), len(test)) == (["all"], 6, 2)
    for split in (source.train, test):
        assert isinstance(split.items, Texts)
        columns = split.items.columns
        assert columns.answers == [question.replace("q", "a") for question in columns.first]


def test_classes_of_a_column(file: Path) -> None:
    source = find(file, label_column="from")
    assert source.class_names == ["x", "y"]
    assert source.open_test().counts(2).tolist() == [1, 1]


def test_what_is_wrong(file: Path) -> None:
    with pytest.raises(
        UserError, match=r"question_column=ask is not in line 1 of .*; legal: question, answer, from"
    ):
        find(file, question_column="ask")
    with pytest.raises(UserError, match=r"answer_column=reply is not in line 1"):
        find(file, answer_column="reply")
