"""device=cuda where there can be none: answered without torch, which asks the same library of the driver."""

import ctypes
import sys
from pathlib import Path

from peftlab.errors import UserError

NO_GPU = "device=cuda: this machine has no CUDA device that torch can use; legal: auto, cpu"


def check_device(name: str) -> None:
    """Raises UserError if a GPU is asked for and no driver of one is there; whether there is one of both, torch says."""
    if name == "cuda" and not _has_driver():
        raise UserError(NO_GPU)


def _has_driver() -> bool:
    if sys.platform == "darwin":
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()  # AMD's, which torch calls cuda too
    return True
