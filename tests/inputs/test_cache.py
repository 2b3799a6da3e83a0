"""What is kept is given back to the bit or not at all, whatever happens to the file, and no folder is an error."""

import os
from pathlib import Path

import numpy as np
import pytest

from peftlab.inputs import cache
from peftlab.inputs.cache import Rows, cache_folder, cached_files, load_bytes, map_bytes, save_bytes, sizes

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_said", set())
    return tmp_path / "cache"


def opened(key: str = "k", num_rows: int = 4, shape: tuple[int, ...] | None = PIXELS.shape) -> Rows:
    rows = Rows.opened(key, num_rows, shape)
    assert rows is not None
    return rows


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PEFTLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "peftlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "peftlab"
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    assert cache_folder() is None
    assert Rows.opened("k", 4, PIXELS.shape) is None
    save_bytes("start", "k", b"1")
    assert load_bytes("start", "k") is None


def test_two_processes_see_each_others_rows(folder: Path) -> None:
    one = opened()
    two = opened(shape=None)
    assert not two.holds(1)
    assert one.put(1, PIXELS)
    assert two.holds(1)
    assert not two.holds(0)
    assert np.array_equal(two.pixels[1], PIXELS)
    assert opened(shape=None).holds(1)
    assert Rows.opened("another", 4, None) is None


def test_a_row_that_is_not_whole_is_not_there(folder: Path) -> None:
    assert opened().put(1, PIXELS)
    (file,) = cached_files(folder)
    data = bytearray(file.read_bytes())
    data[-(3 * PIXELS.nbytes) + 5] ^= 1  # of row 1
    file.write_bytes(data)
    again = opened()
    assert not again.holds(1)
    assert again.put(1, PIXELS)
    assert again.holds(1)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]" + b" " * 5000, b'{"key": "other"}' + b" " * 5000])
def test_a_damaged_or_foreign_file_is_made_anew(folder: Path, damage: bytes) -> None:
    assert opened().put(1, PIXELS)
    save_bytes("start", "k", b"12")
    for file in cached_files(folder):
        file.write_bytes(damage)
    assert load_bytes("start", "k") is None
    assert Rows.opened("k", 4, None) is None
    assert not opened().holds(1)


def test_a_file_is_let_go_with_its_rows(folder: Path) -> None:
    rows = opened()
    number = rows._fd
    os.fstat(number)
    del rows
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_bytes_are_whole_or_not_there(folder: Path) -> None:
    save_bytes("start", "k", b"12", shape=[2])
    found = load_bytes("start", "k")
    assert found is not None
    assert (found[0]["shape"], found[1]) == ([2], b"12")
    (file,) = cached_files(folder)
    file.write_bytes(file.read_bytes()[:-1])
    assert load_bytes("start", "k") is None
    assert sorted(sizes(folder))[0][:2] == ("start", 1)


def test_a_folder_that_cannot_be_made_is_said_once(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path / "file"))
    assert Rows.opened("k", 4, PIXELS.shape) is None
    save_bytes("start", "k", b"1")
    assert capsys.readouterr().err.count("cannot be used") == 1


def test_a_full_disk_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*given: object) -> int:
        raise OSError(28, "No space left on device")

    rows = opened()
    monkeypatch.setattr(os, "pwrite", full)
    assert not rows.put(1, PIXELS)
    assert not rows.put(2, PIXELS)
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_bytes_can_be_mapped(folder: Path) -> None:
    assert map_bytes("tokens", "k") is None
    save_bytes("tokens", "k", b"123", num=1)
    found = map_bytes("tokens", "k")
    assert found is not None
    assert (found[0]["num"], found[1].tobytes()) == (1, b"123")
    assert not found[1].flags.writeable
    save_bytes("tokens", "k", b"45")  # who has mapped the old one keeps it
    assert found[1].tobytes() == b"123"
    assert map_bytes("tokens", "other") is None


@pytest.mark.parametrize("damage", ["a byte", "the end", "all", "the head"])
def test_what_is_mapped_is_whole(folder: Path, damage: str) -> None:
    save_bytes("tokens", "k", b"123")
    (file,) = cached_files(folder)
    data = file.read_bytes()
    broken = {"a byte": data[:-1] + b"4", "the end": data[:-1], "all": b"", "the head": b"x" + data[1:]}[
        damage
    ]
    file.write_bytes(broken)
    assert map_bytes("tokens", "k") is None
