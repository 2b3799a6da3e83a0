"""Something-Something v2 by its lists, on a small copy of its layout."""

import json

import pytest

from peftlab.dataset.source.something_something_v2 import something_something_v2
from peftlab.errors import UserError

KEYS = {
    "folder": None,
    "labels": "labels.json",
    "train_list": "train.json",
    "test_list": "val.json",
    "video_root": "v",
    "broken": "refuse",
}


@pytest.fixture
def copy(tmp_path, frames_at):
    given = {
        "labels.json": {"Holding something": "1", "Putting something on something": "0"},
        "train.json": [
            {
                "id": "7",
                "label": "holding a cup",
                "template": "Holding [something]",
                "placeholders": ["a cup"],
            },
            {"id": "9", "template": "Putting [something] on [something]"},
        ],
        "val.json": [{"id": "3", "template": "Holding [something]"}],
    }
    for name, value in given.items():
        (tmp_path / name).write_text(json.dumps(value))
    for name in ("7", "9", "3"):
        frames_at(tmp_path / "v" / name, seed=int(name))
    return tmp_path


def test_its_lists(copy):
    source = something_something_v2(str(copy), **KEYS)
    assert source.class_names == ["Putting something on something", "Holding something"]
    assert source.train.labels.tolist() == [1, 0]
    assert source.open_test().labels.tolist() == [1]


@pytest.mark.parametrize(
    ("file", "value", "said"),
    [
        (
            "val.json",
            [{"id": "3", "template": "Eating [something]"}],
            "entry 0: its template is no class of labels.json",
        ),
        ("val.json", {"id": "3"}, "is no list of videos"),
        ("labels.json", {"Holding something": "2"}, "does not number its classes from 0"),
        ("labels.json", [], "is no table of classes"),
    ],
)
def test_what_is_none_of_its_lists(copy, file, value, said):
    (copy / file).write_text(json.dumps(value))
    with pytest.raises(UserError, match=said):
        something_something_v2(str(copy), **KEYS)


def test_a_file_that_is_no_json(copy):
    (copy / "val.json").write_text("[")
    with pytest.raises(UserError, match=r"val\.json is no JSON \(.*\); legal: the file as it is published"):
        something_something_v2(str(copy), **KEYS)
