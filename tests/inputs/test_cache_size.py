"""The cache stays within its bound, and whoever reads a file at that moment keeps it."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from peftlab.inputs.cache import Rows, cached_files, load_bytes, save_bytes
from peftlab.inputs.cache_size import limit_bytes, trim

MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of 3 MiB."""
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path))
    monkeypatch.setenv("PEFTLAB_CACHE_GB", str(3 / 1024))
    return tmp_path


def keep(key: str, age_s: float, folder: Path) -> None:
    """Almost a MiB that was last used so long ago."""
    before = set(cached_files(folder))
    save_bytes("start", key, os.urandom(MIB - 8192))
    (file,) = set(cached_files(folder)) - before
    then = file.stat().st_mtime - age_s
    os.utime(file, (then, then))


def test_what_was_not_used_for_the_longest_goes(folder: Path) -> None:
    for key, age in (("a", 30), ("b", 20), ("c", 10)):
        keep(key, age, folder)
    assert load_bytes("start", "a") is not None, "used now"
    keep("d", 0, folder)
    assert {key for key in "abcd" if load_bytes("start", key) is not None} == set("acd")


def test_a_file_above_the_bound_is_kept_alone(folder: Path) -> None:
    keep("a", 10, folder)
    save_bytes("start", "b", bytes(4 * MIB))
    assert load_bytes("start", "a") is None
    assert load_bytes("start", "b") is not None


def test_rows_need_the_room_that_they_will_take(folder: Path) -> None:
    """Their file has holes at first."""
    keep("a", 20, folder)
    keep("b", 10, folder)
    assert Rows.opened("r", 2, (MIB - 8192,)) is not None
    assert load_bytes("start", "a") is None
    assert load_bytes("start", "b") is not None


def test_who_has_rows_open_keeps_them_when_they_go(folder: Path) -> None:
    first = np.full((MIB // 2,), 7, np.uint8)
    rows = Rows.opened("r", 2, (MIB // 2,))
    assert rows is not None
    assert rows.put(0, first)
    save_bytes("start", "b", bytes(4 * MIB))
    assert not list(folder.glob("rows/*"))
    assert rows.holds(0)
    assert (rows.pixels[0] == first).all()
    assert rows.put(1, first + 1)
    again = Rows.opened("r", 2, (MIB // 2,))
    assert again is not None
    assert not again.holds(0), "another process makes them anew"


def test_several_that_remove_at_once_do_not_meet_in_an_error(folder: Path) -> None:
    wrong: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                save_bytes("start", f"{name}{number}", os.urandom(MIB // 2))
                load_bytes("start", f"a{number}")
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    trim(cached_files(folder), 0.0, folder)
    assert not cached_files(folder)


def test_the_bound(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("PEFTLAB_CACHE_GB", raising=False)
    assert limit_bytes() == 50 * 2**30
    monkeypatch.setenv("PEFTLAB_CACHE_GB", "0.5")
    assert limit_bytes() == 2**29
    for wrong in ("0", "-1", "much", "nan"):
        monkeypatch.setenv("PEFTLAB_CACHE_GB", wrong)
        assert limit_bytes() == limit_bytes() == 50 * 2**30
        said = f"peftlab: PEFTLAB_CACHE_GB={wrong} is not legal, so it is 50; legal: GiB, a number above 0\n"
        assert capsys.readouterr().err == said, "once"
