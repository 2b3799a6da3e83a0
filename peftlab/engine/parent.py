"""A process that is to end with the one that started it, however that ends."""

import contextlib
import ctypes
import os
import signal

SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def end_with_parent() -> None:
    """SIGTERM for this process when its parent is gone: it saves what it has. Elsewhere than on Linux nothing happens."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)
    if parent != os.getppid():  # gone meanwhile
        signal.raise_signal(signal.SIGTERM)
