"""Which files of a folder belong to a data set, and what the others are counted as."""

import os
from collections import Counter
from pathlib import Path

import pytest

from peftlab.dataset.source.image_folder import image_folder
from peftlab.dataset.source.tree import pictures
from peftlab.errors import UserError

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b8"
    "0000000049454e44ae426082"
)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints/a.png", "deep/.ipynb_checkpoints/a.png", "__MACOSX/._a.png", "._a.png", ".hidden.png", "@eaDir/a.png",
     "__pycache__/a.png", "$RECYCLE.BIN/a.png"],
)  # fmt: skip
def test_leftovers_are_passed_over_anywhere(tmp_path: Path, name: str) -> None:
    ignored: Counter[str] = Counter()
    put(tmp_path, "a.png", "deep/b.PNG", name)
    (tmp_path / "notes.txt").write_text("")
    assert [str(file.relative_to(tmp_path)) for file in pictures(tmp_path, ignored)] == [
        "a.png",
        "deep/b.PNG",
    ]
    assert ignored == {"hidden or of the system": 1, "no pictures": 1}


def test_links(tmp_path: Path) -> None:
    """The folder itself may be one; below it a link stays inside or is not followed."""
    inside, outside, ignored = tmp_path / "set", tmp_path / "other", Counter[str]()
    put(inside, "a.png", "deep/b.png")
    put(outside, "secret.png")
    (inside / "out.png").symlink_to(outside / "secret.png")
    (inside / "folder").symlink_to(outside)
    (inside / "again").symlink_to(inside)
    (inside / "gone.png").symlink_to(inside / "nothing.png")
    (inside / "same.png").symlink_to("a.png")
    (tmp_path / "link").symlink_to(inside)
    found = [str(file.relative_to(tmp_path / "link")) for file in pictures(tmp_path / "link", ignored)]
    assert found == ["a.png", "deep/b.png", "same.png"]
    assert ignored == {"links that leave the folder": 2, "links to nothing or to themselves": 2}


@pytest.mark.parametrize("split", ["", "train/"])
def test_a_linked_class_folder_is_refused_or_followed_but_never_dropped(tmp_path: Path, split: str) -> None:
    put(tmp_path, *(f"set/{split}cat/{number}.png" for number in "12"), "elsewhere/1.png", "elsewhere/2.png")
    if split:
        put(tmp_path, "set/test/cat/1.png", "set/test/dog/1.png")
    (tmp_path / "set" / split / "dog").symlink_to(tmp_path / "elsewhere")
    root = str(tmp_path / "set")
    with pytest.raises(
        UserError, match=r"dog, a link out of the data set to .*/elsewhere; .*source.follow_links=true"
    ):
        image_folder(root, test_fraction=0.5, follow_links=False)
    source = image_folder(root, test_fraction=0.5, follow_links=True)
    assert source.class_names == ["cat", "dog"]
    assert source.train.counts(2).min() > 0
    assert not +source.ignored


def test_a_linked_split_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "set/train/a/1.png", "set/train/b/1.png", "other/a/1.png", "other/b/1.png")
    (tmp_path / "set" / "test").symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match=r"set/test, a link out of the data set"):
        image_folder(str(tmp_path / "set"), test_fraction=0.5, follow_links=False)


def test_a_link_from_class_to_class_stays_inside(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    (tmp_path / "a" / "3.png").symlink_to(tmp_path / "b" / "1.png")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    source = image_folder(str(tmp_path), test_fraction=0.5, follow_links=False)
    assert (source.train.counts(3) + source.open_test().counts(3)).tolist() == [3, 2, 2]


def test_the_cache_of_the_hub_is_a_data_set(tmp_path: Path) -> None:
    """Its files are links, and their targets have no ending."""
    repository = tmp_path / "datasets--owner--name"
    put(repository, "blobs/0a", "blobs/0b", "blobs/0c", "blobs/0d")
    for number, name in enumerate(("a/1.png", "a/2.png", "b/1.png", "b/2.png")):
        link = repository / "snapshots" / "rev" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../../blobs/0{'abcd'[number]}")
    source = image_folder(str(repository / "snapshots" / "rev"), test_fraction=0.5, follow_links=False)
    assert len(source.train) == 2
    assert not +source.ignored


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Validation", "dev"])
def test_splits_in_any_letters(tmp_path: Path, val: str) -> None:
    put(tmp_path, *(f"{split}/{name}/1.png" for split in ("Train", val, "TEST") for name in "ab"))
    source = image_folder(str(tmp_path), test_fraction=0.5, follow_links=False)
    assert source.class_names == ["a", "b"]
    assert source.val is not None
    assert len(source.train) == len(source.val) == len(source.open_test()) == 2


def test_two_folders_for_one_split(tmp_path: Path) -> None:
    put(tmp_path, *(f"{split}/{name}/1.png" for split in ("train", "val", "valid", "test") for name in "ab"))
    with pytest.raises(UserError, match=r"has both val/ and valid/; legal: one folder for val"):
        image_folder(str(tmp_path), test_fraction=0.5, follow_links=False)


def test_a_class_is_there_once(tmp_path: Path) -> None:
    put(tmp_path, "\u00e9/1.png", "e\u0301/1.png")
    with pytest.raises(UserError, match=r"has two class folders that are both called"):
        image_folder(str(tmp_path), test_fraction=0.5, follow_links=False)


def test_one_image_of_each_class_leaves_no_test(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "b/1.png")
    with pytest.raises(UserError, match=r"leaves no test image"):
        image_folder(str(tmp_path), test_fraction=0.5, follow_links=False)


def test_a_name_that_acts_is_shown_by_its_number(tmp_path: Path) -> None:
    names = [b"caf\xe9", b"\x1b[31m", b"a\nb"]
    for name in names:
        os.makedirs(os.fsencode(tmp_path) + b"/" + name)
        for number in (b"1", b"2"):
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b"/" + number + b".png")).write_bytes(PNG)
    source = image_folder(str(tmp_path), test_fraction=0.5, follow_links=False)
    assert source.class_names == [r"\x1b[31m", r"a\x0ab", r"caf\xe9"]
    assert len(source.open_test()) == 3
