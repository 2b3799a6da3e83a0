"""Another process that writes in a folder."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOLDER = """
import sys, time
from pathlib import Path
from peftlab.record.lock import Lock
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
lock = Lock(folder)
print(lock.take(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def writer() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """`writer(folder)`: a process that holds the folder's lock until it is killed."""
    started: list[subprocess.Popen[str]] = []

    def make(folder: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        return process

    yield make
    for process in started:
        process.kill()
        process.communicate()
