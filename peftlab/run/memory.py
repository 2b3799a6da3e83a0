"""Peak memory of one run, also when several runs share a process."""

import ctypes
import gc
from pathlib import Path

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


_earlier: list[bool] = []  # of the runs of this process, that they were


def release() -> None:
    """Give back what earlier runs of this process left: cycles of objects, and (glibc) free pages of the heap."""
    if not _earlier:
        _earlier.append(True)
        return
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another libc, or none that can be named
        return


def reset_peak(device: torch.device) -> None:
    """Start a new high-water mark (on Linux, for a CPU; elsewhere the mark is the process's)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")
    except OSError:  # no such file, or not allowed: the mark then covers earlier runs of this process too
        return


def peak_mib(device: torch.device) -> float:
    """Peak memory in MiB since `reset_peak`: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        lines = _STATUS.read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
