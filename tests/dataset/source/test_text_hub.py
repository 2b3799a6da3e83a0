"""A set of texts in the hub's layout: its columns, its classes, the lock on its test, and each sentence for what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.text import TEXT_HUB

from peftlab.dataset.source import tables
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.text_hub import text_hub
from peftlab.errors import UserError

Folder = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)


def find(path: Path | str | None, **keys: Any) -> Source:
    return text_hub(None if path is None else str(path), **(TEXT_HUB | keys))


def all_of(split: Any) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = split.items.take(split.rows)
    return found


def test_texts_labels_and_splits(text_folder_of: Folder) -> None:
    source = find(text_folder_of({"train": [1, 0, 1], "valid": [0], "test": [1, 1]}), val_split="valid")
    assert source.class_names == ["0", "1"]
    assert source.train.labels.tolist() == [1, 0, 1]
    assert all_of(source.train) == [("a a a",), ("b a a",), ("c a a",)]
    assert source.val is not None
    assert all_of(source.val) == [("d a a",)]
    test = source.open_test()
    assert (test.labels.tolist(), all_of(test)) == ([1, 1], [("e a a",), ("f a a",)])
    assert source.test_contents is not None
    assert source.test_contents().read(0) == b"e a a"
    assert source.test_contents().describe(1) == "row 1 of the split test"


def test_pairs(text_folder_of: Folder) -> None:
    root = text_folder_of({"train": [0, 1], "test": [1]}, {"other": lambda row: f"more {row}"})
    assert all_of(find(root, pair_column="other").train) == [("a a a", "more 0"), ("b a a", "more 1")]


def test_classes_by_count(text_folder_of: Folder) -> None:
    """The class with the most texts is the first; the same texts keep the same class."""
    labels = ["rare", "most", "some", "most", "some", "most"]
    root = text_folder_of({"train": labels, "test": ["some", "rare"]})
    given, ordered = find(root), find(root, class_order="by_count")
    assert given.class_names == ["most", "rare", "some"]
    assert ordered.class_names == ["most", "some", "rare"]
    for source in (given, ordered):
        assert [source.class_names[label] for label in source.train.labels] == labels
        assert [source.class_names[label] for label in source.open_test().labels] == ["some", "rare"]
    assert ordered.train.counts(3).tolist() == [3, 2, 1]


def test_it_is_looked_for_below_the_folder_of_data(
    text_folder_of: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = text_folder_of({"train": [0, 1], "test": [1]})
    with pytest.raises(UserError, match=r"the set set was not found \(PEFTLAB_DATA is not set"):
        find(None, folder="set")
    monkeypatch.setenv("PEFTLAB_DATA", str(root.parent))
    assert len(find(None, folder="set").train) == 2


def test_a_set_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    names = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    made = {
        split: datasets.Dataset.from_dict({"text": words, "label": [0, 1]}, features=names)
        for split, words in {"train": ["x", "y"], "test": ["z", "w"]}.items()
    }
    monkeypatch.setattr(tables, "_is_reachable", lambda _hub_id: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_args: datasets.DatasetDict(made))
    source = find("owner/name")
    assert source.class_names == ["no", "yes"]
    assert all_of(source.open_test()) == [("z",), ("w",)]


def test_a_test_label_of_no_class_is_told_with_the_contents(text_folder_of: Folder) -> None:
    source = find(text_folder_of({"train": [0, 1], "test": [2]}))
    assert source.test_contents is not None
    with pytest.raises(UserError, match="has the label 2 in row 0 of test; legal: one of the 2 classes"):
        source.test_contents()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"test_split": "tset"}, "dataset.source.test_split=tset is not in the data set; legal: test, train"),
        ({"test_split": "train"}, "dataset.source.train_split=train and test_split=train are the same items"),
        ({"text_column": "txt"}, "dataset.source.text_column=txt is not in the data set; legal: text, label, hole"),
        ({"pair_column": "pair"}, "dataset.source.pair_column=pair is not in the data set; legal: text, label, hole"),
        ({"pair_column": "text"}, "dataset.source.pair_column=text is the text column, too"),
        ({"text_column": "label"}, "dataset.source.text_column=label holds int64; legal: a column of texts"),
        ({"label_column": "lab"}, "dataset.source.label_column=lab is not in the data set"),
        ({"pair_column": "hole"}, "dataset.source.pair_column=hole is empty in row 1 of the split train; legal: a"),
        ({"text_column": "hole"}, "dataset.source.text_column=hole is empty in row 1 of the split train; legal: a"),
    ],
)  # fmt: skip
def test_each_wrong_name(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    for split in ("train", "test"):
        columns = {"text": ["x", "y", "z"], "label": [0, 1, 0], "hole": ["a", " ", None]}
        pq.write_table(pa.table(columns), tmp_path / f"{split}.parquet")
    with pytest.raises(UserError) as error:
        find(tmp_path, **keys)
    assert str(error.value).startswith(words)
