"""ImageNet's folders of codes, with words in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.source.imagenet import imagenet
from peftlab.dataset.source.source import Source
from peftlab.errors import MissingData, UserError

CODES = ["n01440764", "n01443537"]


@pytest.fixture
def root(class_folders: Callable[..., Path]) -> Path:
    found = class_folders({f"images/{split}/{code}": 2 for split in ("train", "val") for code in CODES})
    (found / "classnames.txt").write_text("n01443537 gold fish\nn01440764 tench\n")
    return found


def read(root: Path, **changes: Any) -> Source:
    given: dict[str, Any] = {
        "folder": None, "train_folder": "images/train", "test_folder": "images/val", "names_file": "classnames.txt",
        "follow_links": False,
    }  # fmt: skip
    return imagenet(str(root), **given | changes)


def test_codes_are_names_and_the_file_has_their_words(root: Path) -> None:
    """The validation images are the test, and nothing validates."""
    source = read(root)
    assert (source.class_names, source.class_words) == (CODES, ["tench", "gold fish"])
    assert (source.train.labels.tolist(), source.val) == ([0, 0, 1, 1], None)
    assert source.test_contents is not None
    assert "/images/val/n01440764/" in source.test_contents().describe(0)
    assert source.open_test().labels.tolist() == [0, 0, 1, 1]


def test_what_is_missing_or_wrong_is_named(root: Path) -> None:
    for option in ("train_folder", "test_folder"):
        with pytest.raises(
            MissingData, match=rf"^dataset\.source\.{option}: there is no folder .*/images/no; legal"
        ):
            read(root, **{option: "images/no"})
    with pytest.raises(
        MissingData, match=r"^dataset\.source\.names_file=no\.txt: there is no file .*no\.txt"
    ):
        read(root, names_file="no.txt")
    with pytest.raises(UserError, match=r"^dataset\.source\.names_file=\.\./no\.txt leads out of"):
        read(root, names_file="../no.txt")
    (root / "classnames.txt").write_text("n01440764 tench\n")
    with pytest.raises(
        UserError, match=r"^dataset\.source\.names_file=classnames\.txt has no words for class n01443537"
    ):
        read(root)
    (root / "images" / "val" / "n2").mkdir()
    with pytest.raises(
        UserError, match=r"has n2 in train/ or val/ only; legal: the same class folders in both"
    ):
        read(root)
