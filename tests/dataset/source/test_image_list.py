"""Pictures that lists name: what is read, and a sentence for each thing that can be wrong with a list."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftlab.dataset.source.image_list import image_list
from peftlab.dataset.source.source import Source
from peftlab.errors import MissingData, UserError

Lists = Callable[..., Path]
TRAIN = ["train/cat/1.png 1", "train/ant/1.png 0", "train/cat/2 b.png 1"]
BOTH = {"train.txt": TRAIN, "test.txt": ["test/1.png 0", "test/2.png 1"]}


def read(path: Path | str | None, **changes: Any) -> Source:
    given: dict[str, Any] = {
        "folder": None,
        "image_root": ".",
        "train_list": "train.txt",
        "val_list": None,
        "test_list": "test.txt",
        "names_file": None,
        "labels": "numbers",
        "num_classes": None,
        "follow_links": False,
    }
    return image_list(None if path is None else str(path), **given | changes)


def test_a_text_list(listed: Lists, picture: Callable[..., np.ndarray]) -> None:
    """In the order of the list; names are the folders of training; a path may have a space."""
    source = read(listed(BOTH))
    assert source.class_names == ["ant", "cat"]
    assert source.train.labels.tolist() == [1, 0, 1]
    assert source.val is None
    taken = source.train.items.take(source.train.rows).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(taken, np.stack([picture(number) for number in (0, 1, 2)]))
    test = source.open_test()
    assert test.labels.tolist() == [0, 1]
    assert np.array_equal(test.items.take(test.rows)[0].permute(1, 2, 0).numpy(), picture(3))
    assert source.test_contents is not None
    assert source.test_contents().describe(1).endswith("set/test/2.png")


def test_a_json_list_with_the_values_of_training_in_their_order(listed: Lists) -> None:
    """VPT's: numbers by size, words by letter; 2 comes before 10, and "10" before "2"."""
    lists = {"train.json": {"a.png": 10, "b.png": 2}, "val.json": {"c.png": 2}, "test.json": {"d.png": 10}}
    own = {
        "train_list": "train.json",
        "val_list": "val.json",
        "test_list": "test.json",
        "labels": "sorted",
        "image_root": "images",
    }
    source = read(listed(lists, "images"), **own)
    assert source.class_names == ["2", "10"]
    assert source.val is not None
    assert [split.labels.tolist() for split in (source.train, source.val, source.open_test())] == [
        [1, 0],
        [0],
        [1],
    ]
    words = {
        name: {path: str(value) for path, value in entries.items()}
        for name, entries in lists.items()  # type: ignore[attr-defined]
    }
    assert read(listed(words, "images"), **own).class_names == ["10", "2"]


def test_names_come_from_a_file_or_are_the_labels(listed: Lists) -> None:
    lists = {"train.txt": ["1.png 0", "2.png 1"], "test.txt": ["3.png 1"]}
    root = listed(lists)
    assert read(root).class_names == ["0", "1"]
    (root / "names.txt").write_text("sea lion\r\n\x1bant\r\n")
    assert read(root, names_file="names.txt").class_names == ["sea lion", "\\x1bant"]


def test_classes_without_a_training_item_need_a_number_of_classes(listed: Lists) -> None:
    root = listed({"train.txt": ["1.png 0", "2.png 2"], "test.txt": ["3.png 1"]})
    with pytest.raises(
        UserError, match=r"^the class 1 has no item in .*train\.txt; legal: .*num_classes=NUMBER"
    ):
        read(root)
    source = read(root, num_classes=4)
    assert source.class_names == ["0", "1", "2", "3"]
    assert source.train.counts(4).tolist() == [1, 0, 1, 0]
    assert source.open_test().labels.tolist() == [1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.txt", "train/cat/1.png x", "line 1 of FILE has the label x; legal: a whole number from 0, or"),
        ("train.txt", "train/cat/1.png -1", "line 1 of FILE has the label -1; legal: a whole number"),
        ("train.txt", "train/cat/1.png 1.5", "line 1 of FILE has the label 1.5; legal: a whole number"),
        ("train.txt", "\ntrain/cat/1.png", "the list FILE has 'train/cat/1.png' in line 2, which is no item"),
        ("train.txt", " \n", "the list FILE has no item; legal: "),
        ("train.txt", "train/cat/1.png 99999999999", "the class 0 has no item in FILE; legal: "),
        ("test.txt", "test/1.png 0\ntest/2.png 2", "line 2 of FILE has the label 2, which is no class; legal: .*, 0, 1$"),
        ("test.txt", "test/1.png cat", "line 1 of FILE has the label cat, which is no class"),
        ("test.txt", "test/1.png 0\n\ntest/3.png 1", "line 3 of FILE names test/3.png, and there is no file .*/test/3.png;"),
        ("test.txt", "test 0", "line 1 of FILE names test, and there is no file"),
        ("test.txt", "test/\0.png 0", "line 1 of FILE names test/\\\\x00.png, and there is no file"),
        ("test.txt", "../out.png 0", "line 1 of FILE names ../out.png, which leads out of .*/set; legal: "),
        ("test.txt", "/etc/passwd 0", "line 1 of FILE names /etc/passwd, which leads out of .*/set; legal: "),
        ("test.txt", "test/link.png 0", "line 1 of FILE names test/link.png, which leads out of .*/set; legal: "),
        ("test.txt", "test/1.png 0\ntest/../train/cat/1.png 1",
         "line 2 of FILE names test/../train/cat/1.png, and so does line 1 of .*/train.txt; legal: each picture once"),
        ("test.txt", "test/1.png 0\ntest/1.png 1", "line 2 of FILE names test/1.png, and so does line 1 of FILE; legal: .* with one"),
    ],
)  # fmt: skip
def test_a_wrong_list(listed: Lists, tmp_path: Path, name: str, text: str, message: str) -> None:
    root = listed(BOTH)
    (tmp_path / "out.png").write_bytes((root / "test" / "1.png").read_bytes())
    (root / "test" / "link.png").symlink_to(tmp_path / "out.png")
    (root / name).write_text(text)
    with pytest.raises(UserError, match="^" + message.replace("FILE", re.escape(str(root / name)))):
        read(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no mapping"),
        ('{"a.png": true}', "has the label True in entry 1"),
        ('{"a.png": 1.0}', "has the label 1.0 in entry 1"),
        ("{}", "has no item"),
    ],
)
def test_a_wrong_json_list(listed: Lists, text: str, message: str) -> None:
    root = listed(BOTH)
    (root / "train.json").write_text(text)
    with pytest.raises(UserError, match=rf"^the list .*/train\.json {message}"):
        read(root, train_list="train.json")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"val_list": "no.txt"}, MissingData, r"dataset\.source\.val_list=no\.txt: there is no file .*/set/no\.txt"),
        ({"names_file": "no.txt"}, MissingData, r"dataset\.source\.names_file=no\.txt: there is no file"),
        ({"image_root": "no"}, MissingData, "line 1 of .*train.txt names train/cat/1.png, and there is no file .*/set/no/train"),
        ({"image_root": ".."}, UserError, "line 1 of .*train.txt names train/cat/1.png, which leads out of"),
        ({"train_list": "../other.txt"}, UserError, r"dataset\.source\.train_list=\.\./other\.txt leads out of .*/set; legal"),
        ({"train_list": "test"}, UserError, r"dataset\.source\.train_list=test: .* cannot be read \(Is a directory\)"),
        ({"num_classes": 3, "labels": "sorted"}, UserError, r"dataset\.source\.num_classes=3 does not fit 2 classes"),
        ({"names_file": "test.txt", "num_classes": 5}, UserError, "dataset.source.names_file with a number of lines=2 does not"),
    ],
)  # fmt: skip
def test_a_wrong_option(listed: Lists, changes: dict[str, Any], kind: type[UserError], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as told:
        read(listed(BOTH), **changes)
    assert type(told.value) is kind


def test_links_are_followed_where_they_stay_or_are_wanted(listed: Lists, tmp_path: Path) -> None:
    root = listed(BOTH)
    (root / "test" / "1.png").rename(root / "kept.png")
    (root / "test" / "1.png").symlink_to(root / "kept.png")
    assert len(read(root).open_test()) == 2
    (root / "test").rename(tmp_path / "elsewhere")
    (root / "test").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        UserError, match=r"leads out of .* or, if you made the link, dataset\.source\.follow_links=true"
    ):
        read(root)
    assert len(read(root, follow_links=True).open_test()) == 2


def test_the_folder_is_the_path_or_is_below_the_folder_of_all_sets(
    listed: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(BOTH)
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    assert len(read(None, folder="set").train) == 3
    with pytest.raises(
        MissingData, match=r"^dataset\.path=null and the set no was not found \(no folder .*/no\); legal"
    ):
        read(None, folder="no")
    with pytest.raises(UserError, match=r"^dataset\.path=null names no folder; legal: "):
        read(None)
    with pytest.raises(UserError, match=r"^dataset\.path=/no/such is not a folder; legal: "):
        read("/no/such", folder="set")
