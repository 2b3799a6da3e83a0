"""Paths as people type them."""

from pathlib import Path


def expanded(path: str | Path) -> Path:
    """With `~` as a shell expands it; `~name` of nobody on this machine stays as it is, and is then no file."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
