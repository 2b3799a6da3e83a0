"""Paths as people type them."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """With `~` as a shell expands it; `~name` of nobody on this machine stays as it is, and is then no file."""
    return Path(os.path.expanduser(path))
