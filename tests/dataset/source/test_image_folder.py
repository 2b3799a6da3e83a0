"""Folders of class folders: both layouts, and each sentence for what is wrong with one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from peftlab.dataset.source.image_folder import image_folder
from peftlab.errors import UserError

Folders = Callable[..., Path]
SPLITS = {"train/b": 2, "train/a": 3, "test/a": 1, "test/b": 2}


def test_train_and_test_folders(class_folders: Folders, picture: Callable[..., np.ndarray]) -> None:
    source = image_folder(str(class_folders(SPLITS)), test_fraction=0.2, follow_links=False)
    assert source.class_names == ["a", "b"]
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert source.val is None
    # The fixture wrote train/b first (pictures 0-1), then train/a (2-4), test/a (5), test/b (6-7).
    taken = source.train.items.take(source.train.rows).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(taken, np.stack([picture(number) for number in (2, 3, 4, 0, 1)]))
    test = source.open_test()
    assert test.labels.tolist() == [0, 1, 1]
    assert np.array_equal(test.items.take(test.rows)[0].permute(1, 2, 0).numpy(), picture(5))


@pytest.mark.parametrize("name", ["val", "valid"])
def test_a_validation_folder_is_used(class_folders: Folders, name: str) -> None:
    source = image_folder(
        str(class_folders(SPLITS | {f"{name}/a": 2, f"{name}/b": 1})), test_fraction=0.2, follow_links=False
    )
    assert source.val is not None
    assert source.val.labels.tolist() == [0, 0, 1]


def test_one_folder_gets_a_stratified_test_split_that_stays(class_folders: Folders) -> None:
    root = class_folders({"a": 10, "b": 5, "c": 1})
    (root / ".cache").mkdir()
    source, again = (image_folder(str(root), test_fraction=0.2, follow_links=False) for _ in range(2))
    test = source.open_test()
    assert source.class_names == ["a", "b", "c"]
    assert source.train.counts(3).tolist() == [8, 4, 1]
    assert test.counts(3).tolist() == [2, 1, 0]
    assert source.train.index_hash() == again.train.index_hash()
    seen = [split.items.take(split.rows).numpy().tobytes() for split in (source.train, test)]
    assert (
        len(
            {seen[0][i : i + 432] for i in range(0, len(seen[0]), 432)}
            | {seen[1][i : i + 432] for i in range(0, len(seen[1]), 432)}
        )
        == 16
    )  # 12 x 12 x 3 bytes a picture, all different: none is in both splits


def test_a_class_may_be_called_train(class_folders: Folders) -> None:
    assert image_folder(
        str(class_folders({"train": 4, "plane": 4})), test_fraction=0.25, follow_links=False
    ).class_names == [
        "plane",
        "train",
    ]


def test_files_below_a_class_folder_and_other_files(class_folders: Folders) -> None:
    root = class_folders({"a/deep": 3, "b": 2})
    (root / "a" / "notes.txt").write_text("not a picture")
    source = image_folder(str(root), test_fraction=0.5, follow_links=False)
    assert (source.train.counts(2) + source.open_test().counts(2)).tolist() == [3, 2]


def test_the_unreadable_image_is_named(class_folders: Folders) -> None:
    root = class_folders(SPLITS)
    (root / "train" / "a" / "001.png").write_bytes(b"not a picture")
    split = image_folder(str(root), test_fraction=0.2, follow_links=False).train
    with pytest.raises(UserError, match=r"unreadable image, .*train/a/001\.png"):
        split.items.take(split.rows)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"train/a": 1}, "has train/ but no test/; legal: both, or"),
        (
            {"train/a": 1, "train/b": 1, "test/a": 1, "test/c": 1},
            "has b, c in train/ or test/ only; legal: the same",
        ),
        (SPLITS | {"val/a": 1}, "has b in train/ or val/ only; legal: the same"),
        ({"a": 2, "b": 0}, "has the class folder .*/b without images"),
        ({".git": 1}, "holds no class folder; legal: one folder of images per class"),
    ],
)
def test_wrong_folders(class_folders: Folders, folders: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.path.* {message}"):
        image_folder(str(class_folders(folders)), test_fraction=0.2, follow_links=False)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, r"^dataset\.path=null names no folder; legal"),
        ("/no/such", r"^dataset\.path=/no/such is not a folder"),
    ],
)
def test_no_folder(path: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        image_folder(path, test_fraction=0.2, follow_links=False)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_a_test_fraction_that_empties_a_split(class_folders: Folders, fraction: float) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.source\.test_fraction={fraction} leaves"):
        image_folder(str(class_folders({"a": 4})), test_fraction=fraction, follow_links=False)
