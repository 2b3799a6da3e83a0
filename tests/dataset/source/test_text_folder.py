"""Texts of one's own: one file that is cut, or one for each split, and each sentence for what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.source.source import Source
from peftlab.dataset.source.text_folder import text_folder
from peftlab.errors import UserError

KEYS: dict[str, Any] = {
    "text_column": "text",
    "pair_column": None,
    "label_column": "label",
    "test_fraction": 0.25,
}


def find(path: Path | str | None, **keys: Any) -> Source:
    return text_folder(None if path is None else str(path), **(KEYS | keys))


def put(file: Path, *labels: str, start: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"text {number},{label}" for number, label in enumerate(labels, start)]
    file.write_text("\n".join(["text,label", *rows, ""]))
    return file


def all_of(split: Any) -> list[str]:
    return [words[0] for words in split.items.take(split.rows)]


def test_one_file_is_cut_and_always_in_the_same_way(tmp_path: Path) -> None:
    file = put(tmp_path / "all.csv", *"xxxxyyyyz")
    source, again = find(file), find(file)
    assert source.class_names == ["x", "y", "z"]
    assert source.train.counts(3).tolist() == [3, 3, 1]
    assert source.val is None
    test = source.open_test()
    assert test.counts(3).tolist() == [1, 1, 0]
    assert sorted(all_of(source.train) + all_of(test)) == [f"text {number}" for number in range(9)]
    assert all_of(again.train) == all_of(source.train)
    assert source.test_contents is not None
    number = int(all_of(test)[0].split()[1])
    assert source.test_contents().describe(0) == f"line {number + 2} of {file}"
    assert source.train.items.fingerprint == again.train.items.fingerprint


def test_a_folder_with_a_train_file_alone_is_the_file(tmp_path: Path) -> None:
    put(tmp_path / "train.csv", *"xxxxyyyy")
    (tmp_path / "README.md").write_text("words")
    source = find(tmp_path)
    assert source.open_test().counts(2).tolist() == [1, 1]
    assert source.ignored == {"no file of a split": 1}


def test_a_folder_of_splits(tmp_path: Path) -> None:
    put(tmp_path / "Train.csv", *["10", "2", "2"])
    put(tmp_path / "dev.csv", "10", start=3)
    (tmp_path / "test.jsonl").write_text('{"text": "last", "label": 2}\n')
    (tmp_path / ".hidden").write_text("")
    source = find(tmp_path)
    assert source.class_names == ["2", "10"]
    assert source.train.labels.tolist() == [1, 0, 0]
    assert source.val is not None
    assert source.val.labels.tolist() == [1]
    assert (all_of(source.open_test()), source.open_test().labels.tolist()) == (["last"], [0])
    assert source.ignored == {"hidden or of the system": 1}


def test_the_test_file_is_not_read_before_it_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path / "train.csv", *"xy")
    put(tmp_path / "test.csv", "x", "other")
    source = find(tmp_path)
    assert source.test_contents is not None
    for ask in (source.open_test, source.test_contents):
        with pytest.raises(
            UserError, match=r"has the class other in line 3 of .*test\.csv, which no text to train"
        ):
            ask()


def test_names_are_shown_without_what_would_act(tmp_path: Path) -> None:
    put(tmp_path / "train.csv", "x\x1b[31m", "y", "y", "x\x1b[31m")
    assert find(tmp_path).class_names == ["x\\x1b[31m", "y"]


@pytest.mark.parametrize(
    ("files", "path", "keys", "words"),
    [
        ({}, None, {}, "dataset.path=null names no file; legal: "),
        ({}, " ", {}, "dataset.path=  names no file; legal: "),
        ({}, "FOLDER/no", {}, "dataset.path=FOLDER/no is neither a file nor a folder; legal: "),
        ({}, "FOLDER", {}, "dataset.path=FOLDER has no such file but no train file; legal: "),
        ({"test.csv": "xy"}, "FOLDER", {}, "dataset.path=FOLDER has test.csv but no train file; legal: "),
        ({"train.csv": "xy", "val.csv": "x"}, "FOLDER", {}, "dataset.path=FOLDER has train.csv, val.csv but no test"),
        ({"train.csv": "xy", "train.tsv": "x"}, "FOLDER", {}, "dataset.path=FOLDER has both train.csv and train.tsv"),
        ({"all.txt": "xy"}, "FOLDER/all.txt", {}, "dataset.path=FOLDER/all.txt ends in .txt; legal: "),
        ({"all.csv": "xy"}, "FOLDER/all.csv", {}, "dataset.path=FOLDER/all.csv has one text of each class, which"),
        ({"all.csv": "xxyy"}, "FOLDER/all.csv", {"test_fraction": 1}, "dataset.source.test_fraction=1 leaves a"),
        ({"all.csv": "xxyy"}, "FOLDER/all.csv", {"pair_column": "text"}, "dataset.source.pair_column=text is the text"),
        ({"all.csv": "xxyy"}, "FOLDER/all.csv", {"pair_column": "b"}, "dataset.source.pair_column=b is not in line 2"),
    ],
)  # fmt: skip
def test_each_wrong_folder(
    tmp_path: Path, files: dict[str, str], path: str | None, keys: dict[str, Any], words: str
) -> None:
    for name, labels in files.items():
        put(tmp_path / name, *labels)
    with pytest.raises(UserError) as error:
        find(None if path is None else path.replace("FOLDER", str(tmp_path)), **keys)
    assert str(error.value).replace(str(tmp_path), "FOLDER").startswith(words)


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "set" / "train.csv", *"xy")
    (tmp_path / "set" / "test.csv").symlink_to(put(tmp_path / "away.csv", *"xy"))
    with pytest.raises(UserError, match=r"has test\.csv, a link out of the folder; legal: "):
        find(tmp_path / "set")
