"""Is it still the same? Quickly where the times say so, by every byte where they do not."""

import os
from pathlib import Path

import pytest

from peftlab.record import content as module
from peftlab.record.content import content_of, file_sha256, is_content, stamp_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name, text in (("train/a/1.png", "one"), ("train/b/2.png", "two"), ("test/a/3.png", "three")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def later(path: Path) -> None:
    os.utime(path, (2e9, 2e9))


CHANGES = {
    "a byte": lambda folder: (folder / "test/a/3.png").write_text("threE"),
    "a name": lambda folder: (folder / "test/a/3.png").rename(folder / "test/a/4.png"),
    "moved to another class": lambda folder: (folder / "train/a/1.png").rename(folder / "train/b/1.png"),
    "one more": lambda folder: (folder / "train/a/5.png").write_text("five"),
    "one less": lambda folder: (folder / "train/a/1.png").unlink(),
    "two exchanged": lambda folder: (
        (folder / "train/a/1.png").write_text("two"),
        (folder / "train/b/2.png").write_text("one"),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_another_content(data: Path, change) -> None:
    saved = content_of(data)._asdict()
    assert is_content(data, saved)
    change(data)
    assert content_of(data).sha256 != saved["sha256"]
    assert not is_content(data, saved)


def test_a_copy_with_other_times_is_the_same(data: Path, tmp_path: Path) -> None:
    saved = content_of(data)._asdict()
    later(data / "train/a/1.png")
    assert stamp_of(data)[0] != saved["stamp"]
    assert is_content(data, saved)
    data.rename(tmp_path / "moved")
    assert content_of(tmp_path / "moved").sha256 == saved["sha256"]


def test_what_has_its_stamp_is_not_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = content_of(data)._asdict()
    monkeypatch.setattr(module, "file_sha256", lambda path: pytest.fail("read"))
    assert is_content(data, saved)


def test_one_file_and_a_folder_with_what_is_hidden(data: Path) -> None:
    file = data / "train/a/1.png"
    assert content_of(file).sha256 == file_sha256(file)
    assert content_of(file).size == 3
    before = content_of(data)
    (data / ".cache").mkdir()
    (data / ".cache" / "x").write_text("x")
    assert content_of(data) == before
    assert before.size == 11


def test_above_the_limit_sizes_must_do(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HASHED_BYTES", 5)
    saved = content_of(data)
    CHANGES["a byte"](data)
    later(data / "test/a/3.png")
    assert content_of(data).sha256 == saved.sha256
    CHANGES["one more"](data)
    assert content_of(data).sha256 != saved.sha256


def test_what_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        content_of(tmp_path / "no")
