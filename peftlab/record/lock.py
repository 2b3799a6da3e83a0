"""The right to write in a folder: a lock of the kernel on the folder itself, which ends with the process that has it."""

import errno
import fcntl
import os
import time
from pathlib import Path

FILE = ".lock"  # only where folders cannot be locked, as on NFS
PATIENCE_S = 0.5  # whoever only looks holds it for a moment
_NO_FOLDERS = (errno.EBADF, errno.EISDIR, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP)
_held: set[int] = set()


class Lock:
    """At most one process, and in it one `Lock`, has a folder; a kill of any kind gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Whether it is ours now. The folder must exist.

        Raises:
            OSError: if the folder is not there, or its file system has no locks.
        """
        until = time.monotonic() + PATIENCE_S
        while not self.is_held:
            found = _try(self.folder, fcntl.LOCK_EX)
            if found is None and time.monotonic() > until:
                return False
            if found is None:
                time.sleep(0.01)
            elif _is_at(found, self.folder):
                self._descriptor = found
                _held.add(found)
            else:  # another folder has taken its place meanwhile
                os.close(found)
        return True

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            _held.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        self.release()


def is_locked(folder: Path) -> bool:
    """Whether a process writes in the folder at this moment, this one included."""
    try:
        found = _try(folder, fcntl.LOCK_SH)
    except OSError:
        return False
    if found is None:
        return True
    os.close(found)
    return False


def _try(folder: Path, kind: int) -> int | None:
    """A descriptor that has the lock, or None if another one has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_FOLDERS:
                raise
            os.close(descriptor)
            descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(descriptor: int, folder: Path) -> bool:
    try:
        there = [os.stat(path) for path in (folder, folder / FILE) if path.exists()]
    except OSError:
        return False
    return any(os.path.samestat(os.fstat(descriptor), one) for one in there)


def _forget() -> None:
    """A forked child (a worker that prepares batches) would keep the lock of a parent that was killed."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
