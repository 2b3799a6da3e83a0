"""Lists that are made of published lists of names."""

from pathlib import Path

import pytest

from peftlab.dataset.source.prepare import lists_of_names
from peftlab.errors import MissingData, UserError

SOURCE = {f"{split}_list": f"{split}.txt" for split in ("train", "val", "test")}
NAMES = {
    "train": "tennis_court_002.jpg\nairplane_001.jpg\n",
    "val": "airplane_003.jpg",
    "test": "airplane_002.jpg\n",
}


def put(root: Path, names: dict[str, str]) -> None:
    for split, text in names.items():
        (root / f"resisc45-{split}.txt").write_text(text)


def test_a_class_is_what_stands_before_the_number(tmp_path: Path) -> None:
    put(tmp_path, NAMES)
    assert lists_of_names("resisc45", tmp_path, SOURCE) == {
        "train.txt": "tennis_court/tennis_court_002.jpg 1\nairplane/airplane_001.jpg 0\n",
        "val.txt": "airplane/airplane_003.jpg 0\n",
        "test.txt": "airplane/airplane_002.jpg 0\n",
    }


def test_wrong_lists(tmp_path: Path) -> None:
    with pytest.raises(
        MissingData, match=r"^resisc45-train\.txt: there is no file .*/resisc45-train\.txt; legal"
    ):
        lists_of_names("resisc45", tmp_path, SOURCE)
    put(tmp_path, NAMES | {"test": "lake_001.jpg"})
    with pytest.raises(
        UserError, match=r"^lake_001\.jpg of resisc45 has no class of resisc45-train\.txt; legal: airplane, t"
    ):
        lists_of_names("resisc45", tmp_path, SOURCE)
    for wrong in ("airplane.jpg", "../airplane_001.jpg"):
        put(tmp_path, NAMES | {"train": wrong})
        with pytest.raises(
            UserError, match=rf"resisc45-train\.txt has {wrong}; legal: names of files as CLASS_1\.jpg"
        ):
            lists_of_names("resisc45", tmp_path, SOURCE)
