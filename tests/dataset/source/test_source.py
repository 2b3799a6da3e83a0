"""The test lock: building a source reads no test image, whatever kind of source it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from peftlab.dataset.dataset import Dataset
from peftlab.errors import UserError


def test_a_folder_whose_test_images_are_broken_can_be_trained_on(
    build: Callable[..., Dataset], class_folders: Callable[..., Path]
) -> None:
    root = class_folders({"train/a": 3, "train/b": 2, "test/a": 1, "test/b": 1})
    for file in (root / "test").rglob("*.png"):
        file.write_bytes(b"broken")
    built = build("image_folder", path=str(root))
    built.train.items.take(built.train.rows)
    test = built.open_test()
    with pytest.raises(UserError, match=r"unreadable image, .*test/a/000\.png"):
        test.items.take(test.rows)


def test_a_hub_layout_whose_test_file_is_broken_can_be_trained_on(
    build: Callable[..., Dataset], parquet_folder: Callable[..., Path]
) -> None:
    root = parquet_folder({"train": [0, 1, 1], "test": [0, 1]})
    (root / "data" / "test-00000-of-00001.parquet").write_bytes(b"broken")
    built = build("hub", path=str(root))
    built.train.items.take(built.train.rows)
    with pytest.raises(UserError, match=r"unreadable file .*test-00000-of-00001\.parquet"):
        built.open_test()
