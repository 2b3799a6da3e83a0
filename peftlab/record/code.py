"""Which code wrote a record."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from peftlab import __version__

ROOT = Path(__file__).parents[2]  # of a checkout; of an installed package, the folder of all packages
OURS = ("peftlab", "configs", "pyproject.toml")
LIBRARIES = ("torch", "torchvision", "timm", "numpy")


@cache
def code() -> dict[str, Any]:
    """`commit` of the checkout, `dirty` if its code or configs differ from that (both None without one), `versions`."""
    commit = dirty = None
    if (ROOT / ".git").exists() and (found := _git("rev-parse", "HEAD")) is not None:
        commit = found.strip()
        changed = _git("status", "--porcelain", "--", *OURS)
        dirty = None if changed is None else bool(changed)
    versions = {
        "peftlab": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }
    return {"commit": commit, "dirty": dirty, "versions": versions}


def _git(*words: str) -> str | None:
    """What git prints; it takes no lock and starts no program. None if it cannot say."""
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
