"""What lies in two splits: counted and named by content, refused where a split has nothing of its own, in bounded time."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftlab.dataset import overlap as module
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.items import Contents
from peftlab.dataset.overlap import Overlap, Part, overlap, parts_of
from peftlab.errors import UserError

Folders, Build = Callable[..., Path], Callable[..., Dataset]
SPLITS = {"train/a": 4, "train/b": 3, "val/a": 2, "val/b": 2, "test/a": 3, "test/b": 2}


def of(dataset: Dataset) -> Overlap:
    return overlap(dataset, parts_of(dataset))


def test_splits_in_order(class_folders: Folders, build: Build) -> None:
    root = class_folders(SPLITS)
    (root / "train" / "a" / ".x.png").write_bytes(b"")
    found = of(build("image_folder", path=str(root)))
    found.check()
    assert found.num_items == {"train": 7, "val": 4, "test": 5}
    assert not list(found.warnings)
    said = "7 train, 4 val, 5 test; no item in two splits; ignored: hidden or of the system 1"
    assert found.line == said
    ignored = {"hidden or of the system": 1}
    assert found.saved == {"num_items": found.num_items, "in_two_splits": {}, "ignored": ignored}


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "val"), ("val", "test")])
def test_a_copy_under_any_name_is_found(class_folders: Folders, build: Build, one: str, other: str) -> None:
    root = class_folders(SPLITS)
    shutil.copy(root / one / "a" / "001.png", root / other / "b" / "zz.PNG")
    found = of(build("image_folder", path=str(root)))
    found.check()
    (warning,) = found.warnings
    number = found.num_items[other]
    assert warning == (
        f"1 of {number} items of {other} lie in {one}, too, so {other} is not independent of it:"
        f" {root}/{other}/b/zz.PNG is {root}/{one}/a/001.png"
    )
    assert f"; 1 of {other} also in {one}; " in found.line
    assert found.saved["in_two_splits"][f"{one} and {other}"]["number"] == 1


def test_only_what_is_trained_on_counts(class_folders: Folders, build: Build) -> None:
    """After the long tail; and a validation that is cut from training is a split, too."""
    root = class_folders({"train/a": 8, "train/b": 8, "test/a": 2, "test/b": 2})
    for number in range(8):
        shutil.copy(root / "train" / "b" / f"{number:03d}.png", root / "train" / "b" / f"copy {number}.png")
    shutil.copy(root / "train" / "b" / "000.png", root / "test" / "b" / "zz.png")
    assert list(of(build("image_folder", path=str(root))).twice or {}) == [("train", "test")]
    assert not of(build("image_folder", path=str(root), imbalance=16.0, seed=3)).twice
    assert ("train", "val") in (of(build("image_folder", path=str(root), val_fraction=0.4)).twice or {})


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "val"), ("val", "test")])
def test_a_split_that_is_a_copy_is_refused(
    class_folders: Folders, build: Build, one: str, other: str
) -> None:
    root = class_folders(SPLITS)
    shutil.rmtree(root / other)
    shutil.copytree(root / one, root / other)
    with pytest.raises(
        UserError, match=rf"^dataset has the same items in {one} and {other} \(.*a/000.png is .*legal"
    ):
        of(build("image_folder", path=str(root))).check()


def test_a_parquet_split_that_is_a_copy_is_refused(parquet_folder: Folders, build: Build) -> None:
    root = parquet_folder({"train": [0, 0, 1, 1], "test": [0, 1]}) / "data"
    shutil.copy(root / "train-00000-of-00001.parquet", root / "test-00000-of-00001.parquet")
    with pytest.raises(
        UserError, match=r"\(row 0 of the split train is row 0 of the split test, and so on\)"
    ):
        of(build("hub", path=str(root.parent))).check()


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_items_is_refused(parquet_folder: Folders, build: Build, split: str) -> None:
    root = parquet_folder(
        {"train": [0, 1], "val": [0, 1], "test": [0, 1], split: np.array([], dtype=np.int64)}
    )
    found = of(build("hub", path=str(root), source={"val_split": "val"}))
    with pytest.raises(UserError, match=rf"^dataset has no item in its split {split}; legal"):
        found.check()


def test_equal_pictures_in_each_class_are_a_toy_and_no_copy(class_folders: Folders, build: Build) -> None:
    root = class_folders({"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1})
    for name in "ab":
        for copy in ("train/{}/1.png", "train/{}/2.png", "test/{}/000.png"):
            shutil.copy(root / "train" / name / "000.png", root / copy.format(name))
    found = of(build("image_folder", path=str(root)))
    found.check()
    assert len(list(found.warnings)) == 1


def test_what_is_read_is_bounded(monkeypatch: pytest.MonkeyPatch, build: Build) -> None:
    """Items of a size that no other split has are not read, and above a limit none is."""
    read: list[int] = []

    def part(*sizes: int) -> Part:
        def content(row: int) -> bytes:
            read.append(sizes[row])
            return bytes(sizes[row])

        own = np.array(sizes, dtype=np.int64)
        return Part(Contents(own, content, str), np.arange(len(sizes), dtype=np.int64))

    parts = {"train": part(5, 6, 7, 9), "test": part(7, 8)}
    data = build("digits_lt")
    assert overlap(data, parts).twice == {("train", "test"): [("2", "0")]}
    assert read == [7, 7]
    monkeypatch.setattr(module, "MAX_COMPARED_BYTES", 13)
    found = overlap(data, parts)
    assert found.twice is None
    assert "not compared" in found.line
    assert found.saved["in_two_splits"] is None
    assert len(read) == 2


def test_a_source_that_does_not_tell(cut: Callable[..., Any]) -> None:
    """Its test split stays shut."""
    found = of(cut([5, 4]))
    found.check()
    assert (
        found.line
        == "9 train; test not compared, as this source does not tell what it holds; ignored: nothing"
    )


def test_the_digits_are_all_different(build: Build) -> None:
    found = of(build("digits"))
    assert (found.num_items, found.twice) == ({"train": 896, "test": 901}, {})
