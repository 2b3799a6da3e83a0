"""One writer per folder, by the kernel's word: no file, no pid, and nothing left by a kill."""

import errno
import fcntl
import os
import shutil
import time
from pathlib import Path

import pytest

from peftlab.record.lock import FILE, Lock, is_locked


def test_one_has_it_and_gives_it_back(tmp_path: Path) -> None:
    one, other = Lock(tmp_path), Lock(tmp_path)
    assert not is_locked(tmp_path)
    assert one.take()
    assert one.take(), "who has it has it"
    assert is_locked(tmp_path)
    assert not other.take()
    assert (one.is_held, other.is_held) == (True, False)
    one.release()
    one.release()
    assert not is_locked(tmp_path)
    assert other.take()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_nobody_knows_any_more_is_given_back(tmp_path: Path) -> None:
    Lock(tmp_path).take()
    assert Lock(tmp_path).take()


def test_a_kill_gives_it_back(tmp_path: Path, writer) -> None:
    process = writer(tmp_path)
    assert is_locked(tmp_path)
    assert not Lock(tmp_path).take()
    process.kill()
    process.wait()
    assert Lock(tmp_path).take()


def test_a_child_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    """As a worker that prepares batches, when the run is killed."""
    lock, (read, write) = Lock(tmp_path), os.pipe()
    assert lock.take()
    child = os.fork()
    if child == 0:  # until the parent closes the pipe
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    lock.release()
    assert Lock(tmp_path).take()
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0


def test_who_looks_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """A look takes the lock for a moment; a writer that comes just then waits for it."""
    looking = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    started, waits = time.monotonic(), []
    lock = Lock(tmp_path)
    sleep = time.sleep

    def end(seconds: float) -> None:
        waits.append(seconds)
        os.close(looking)
        sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", end)
        assert lock.take()
    assert len(waits) == 1
    assert time.monotonic() - started < 5


def test_a_folder_that_was_replaced_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    real, calls = fcntl.flock, []

    def replaced_meanwhile(descriptor: int, kind: int) -> None:
        real(descriptor, kind)
        calls.append(descriptor)
        if len(calls) == 1:
            shutil.rmtree(folder)
            (tmp_path / "other").mkdir()  # may take the number of the one that is gone
            folder.mkdir()

    monkeypatch.setattr(fcntl, "flock", replaced_meanwhile)
    lock = Lock(folder)
    assert lock.take()
    monkeypatch.undo()
    assert len(calls) == 2
    assert not Lock(folder).take()


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_folders_cannot_be_locked_a_file_in_them_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As on NFS, where a lock asks for a descriptor that is open for writing."""
    real = fcntl.flock

    def only_files(descriptor: int, kind: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", only_files)
    one = Lock(tmp_path)
    assert one.take()
    assert is_locked(tmp_path)
    assert not Lock(tmp_path).take()
    one.release()
    assert Lock(tmp_path).take()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "no")
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "no").take()
