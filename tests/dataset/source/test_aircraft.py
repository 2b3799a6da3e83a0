"""Lists of FGVC-Aircraft: names with spaces behind the pictures, and a sentence for each thing that can be wrong with one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.source.aircraft import aircraft
from peftlab.dataset.source.source import Source
from peftlab.errors import MissingData, UserError

TRAIN, TEST = "0034309 Cessna 172\n0034958 707-320\n", "0000001 707-320\n"


@pytest.fixture
def root(listed: Callable[..., Path]) -> Path:
    found = listed({"all.txt": [f"{name}.jpg 0" for name in ("0034309", "0034958", "0000001")]}, "images")
    for name, text in {"variants.txt": "707-320\nCessna 172\n", "train.txt": TRAIN, "test.txt": TEST}.items():
        (found / name).write_text(text)
    return found


def read(root: Path, **changes: Any) -> Source:
    given: dict[str, Any] = {
        "folder": None, "image_root": "images", "names_file": "variants.txt", "train_list": "train.txt", "val_list": None,
        "test_list": "test.txt", "follow_links": False,
    }  # fmt: skip
    return aircraft(str(root), **given | changes)


def test_classes_are_in_the_order_of_their_file_and_called_as_they_stand(root: Path) -> None:
    source = read(root)
    assert source.class_names == source.class_words == ["707-320", "Cessna 172"]
    assert (source.train.labels.tolist(), source.open_test().labels.tolist()) == ([1, 0], [0])
    assert source.val is None
    assert source.test_contents is not None
    assert source.test_contents().describe(0).endswith("images/0000001.jpg")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("test.txt", "0000001\n", "the list .*test.txt has '0000001' in line 1, which is no item; legal: "),
        ("test.txt", "", "the list .*test.txt has '' in line 1, which is no item"),
        ("test.txt", "0000001 747\n", "line 1 of .*test.txt has the label 747, which is no class; legal: .* 707-320, Cessna 172$"),
        ("test.txt", "0000002 707-320\n", "line 1 of .*test.txt names 0000002.jpg, and there is no file .*images/0000002.jpg"),
        ("test.txt", TRAIN, "line 1 of .*test.txt names 0034309.jpg, and so does line 1 of .*train.txt; legal: each picture once"),
        ("variants.txt", "707-320\nCessna 172\n747\n", "the class 747 of .*variants.txt has no item in .*train.txt; legal"),
        ("variants.txt", "", "the class of an empty line of .*variants.txt has no item"),
        ("variants.txt", "707-320\n", "line 1 of .*train.txt has the label Cessna 172, which is no class"),
    ],
)  # fmt: skip
def test_a_wrong_list(root: Path, name: str, text: str, message: str) -> None:
    (root / name).write_text(text)
    with pytest.raises(UserError, match=f"^{message}"):
        read(root)


@pytest.mark.parametrize("option", ["names_file", "train_list", "val_list", "test_list"])
def test_a_missing_list(root: Path, option: str) -> None:
    with pytest.raises(MissingData, match=rf"^dataset\.source\.{option}=no\.txt: there is no file .*no\.txt"):
        read(root, **{option: "no.txt"})
