"""A reader never sees half a file."""

import errno
import os
from pathlib import Path

import pytest

from peftlab.errors import UserError
from peftlab.record import whole_file as module
from peftlab.record.whole_file import check_place, refusal, renew, whole_file


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with whole_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as part:
            part.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_has_its_content_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.md"
    assert renew(path, "one\n") == path
    assert renew(path, b"two\n") == path
    assert path.read_bytes() == b"two\n"
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("written"))
    renew(path, "two\n")


def test_a_place_is_checked_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    check_place(tmp_path, "--out")
    check_place(tmp_path / "new" / "below", "--out")
    check_place(tmp_path / "file", "--csv")
    with pytest.raises(
        UserError, match=r"--out=.*/file/below cannot be written: .*/file is not a folder; legal"
    ):
        check_place(tmp_path / "file" / "below", "--out")

    def refuse(dir: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(module, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"--out=.*/new cannot be written: .*: Read-only file system; legal"):
        check_place(tmp_path / "new", "--out")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EDQUOT])
def test_an_error_of_the_disk_is_a_sentence(tmp_path: Path, number: int) -> None:
    error = OSError(number, os.strerror(number), str(tmp_path / "a"), None, str(tmp_path / "b"))
    assert refusal(error, tmp_path) == (
        f"{tmp_path / 'b'} cannot be used ({os.strerror(number)}); legal: a place with room that may be read and written"
    )
    assert str(refusal(OSError(number, os.strerror(number)), tmp_path)).startswith(
        f"{tmp_path} cannot be used"
    )


def test_libraries_have_words_of_their_own_for_it(tmp_path: Path) -> None:
    told = RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert str(refusal(told, tmp_path)).startswith(f"{tmp_path} cannot be used (No space left on device)")


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError(errno.ENOENT, "No such file"), KeyError("Permission denied")]
)
def test_any_other_error_is_none_of_the_disk(tmp_path: Path, error: Exception) -> None:
    assert refusal(error, tmp_path) is None
