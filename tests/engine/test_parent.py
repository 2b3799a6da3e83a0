"""A process whose parent is killed ends, and may save first."""

import subprocess
import sys
import time
from pathlib import Path

CHILD = """
import signal, sys, time
from pathlib import Path
from peftlab.engine.parent import end_with_parent
end_with_parent()
def save(number, frame):
    Path("saved").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
Path("ready").touch()
time.sleep(100)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_a_child_hears_of_the_end_of_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], cwd=tmp_path)
    until = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    while not (tmp_path / "saved").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
