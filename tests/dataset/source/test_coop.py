"""Lists of CoOp's form: labels, names and words, and a sentence for each thing that can be wrong with one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftlab.dataset.source.coop import coop
from peftlab.dataset.source.source import Source
from peftlab.errors import MissingData, UserError

TRAIN = [["a/1.png", 3, "B_c"], ["b/1.png", 10, "D-E"], ["a/2.png", 3, "B_c"]]
GOOD = {
    "train": TRAIN,
    "val": [["b/2.png", 10, "D-E"]],
    "test": [["a/3.png", 3, "B_c"], ["b/3.png", 10, "D-E"]],
}
FILE = "split_zhou_Set.json"


@pytest.fixture
def root(listed: Callable[..., Path]) -> Path:
    """The pictures of GOOD, without a list."""
    paths = [item[0] for items in GOOD.values() for item in items]
    return listed({"all.txt": [f"{path} 0" for path in paths]}, "images")


def read(root: Path, held: Any, **changes: Any) -> Source:
    (root / FILE).write_text(held if isinstance(held, str) else json.dumps(held))
    given: dict[str, Any] = {
        "folder": None, "image_root": "images", "split_file": FILE, "val_split": "val", "follow_links": False,
    }  # fmt: skip
    return coop(str(root), **given | changes)


def test_labels_are_numbered_and_names_are_words_with_spaces_for_underscores(root: Path) -> None:
    """10 comes behind 3; capitals and hyphens stay, as CoOp has them."""
    source = read(root, GOOD)
    assert (source.class_names, source.class_words) == (["B_c", "D-E"], ["B c", "D-E"])
    assert source.train.labels.tolist() == [0, 1, 0]
    assert source.val is not None
    assert (source.val.labels.tolist(), source.open_test().labels.tolist()) == ([1], [0, 1])
    assert source.test_contents is not None
    assert source.test_contents().describe(1).endswith("set/images/b/3.png")
    assert read(root, GOOD, val_split=None).val is None


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("{", "the list FILE is no JSON"),
        ("[]", "the list FILE holds no mapping; legal: {\"train\""),
        ({**GOOD, "test": []}, "the list FILE has no items in test; legal: "),
        ({"train": TRAIN}, "the list FILE has no items in val"),
        ({**GOOD, "test": [["a/3.png", 3]]}, r"entry 1 of test in FILE is \['a/3.png', 3\], which is no item; legal: \[path"),
        ({**GOOD, "test": [["a/3.png", "3", "B_c"]]}, "entry 1 of test in FILE is .* which is no item"),
        ({**GOOD, "test": [["a/3.png", True, "B_c"]]}, "entry 1 of test in FILE is .* which is no item"),
        ({**GOOD, "test": [["a/3.png", 3, " "]]}, "entry 1 of test in FILE is .* which is no item"),
        ({**GOOD, "test": [["a/3.png", 3, "b"]]}, "entry 1 of test in FILE calls the class 3 b, and another entry B_c; legal: one"),
        ({**GOOD, "test": [["a/3.png", 4, "x"]]}, "entry 1 of test in FILE has the label 4, which is no class; legal: .*, 3, 10$"),
        ({**GOOD, "test": [["a/9.png", 3, "B_c"]]}, "entry 1 of test in FILE names a/9.png, and there is no file .*/images/a/9.png;"),
        ({**GOOD, "test": [["../x", 3, "B_c"]]}, "entry 1 of test in FILE names ../x, and there is no file"),
        ({**GOOD, "test": [["../../x", 3, "B_c"]]}, "entry 1 of test in FILE names ../../x, which leads out of"),
        ({**GOOD, "test": [TRAIN[0]]}, "entry 1 of test in FILE names a/1.png, and so does entry 1 of train in FILE; legal: .* once"),
    ],
)  # fmt: skip
def test_a_wrong_list(root: Path, held: Any, message: str) -> None:
    with pytest.raises(UserError, match="^" + message.replace("FILE", re.escape(str(root / FILE)))):
        read(root, held)


def test_what_is_missing_is_named(root: Path) -> None:
    with pytest.raises(
        MissingData, match=r"^dataset\.source\.split_file=no\.json: there is no file .*/no\.json"
    ):
        read(root, GOOD, split_file="no.json")
    with pytest.raises(UserError, match=r"^dataset\.source\.split_file=\.\./x\.json leads out of"):
        read(root, GOOD, split_file="../x.json")
    with pytest.raises(MissingData, match=r"^entry 1 of train in .* names a/1\.png, and there is no file"):
        read(root, GOOD, image_root="no")
