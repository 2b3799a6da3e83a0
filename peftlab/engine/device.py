"""The devices of this machine that workers are pinned to: GPUs, or parts of the cores; one sweep has each at a time."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from peftlab.errors import UserError
from peftlab.record.lock import Lock

GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Device:
    """Where a worker computes: one GPU by the name that CUDA_VISIBLE_DEVICES takes, or these cores."""

    gpu: str | None
    cores: tuple[int, ...]

    @property
    def name(self) -> str:
        """`gpu 0`, `core 0`, `cores 0-3`."""
        if self.gpu is not None:
            return f"gpu {self.gpu}"
        return f"core {self.cores[0]}" if len(self.cores) == 1 else f"cores {self.cores[0]}-{self.cores[-1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What its worker starts with: it sees one GPU, or none, and has a thread for each of its cores."""
        threads = str(max(1, len(self.cores)))
        return {
            "CUDA_VISIBLE_DEVICES": self.gpu or "",
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }


def gpus() -> list[str]:
    """The GPUs that this process may use, asked without torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip() and name.strip() != "-1"]
    return [str(number) for number in range(len(list(GPUS.glob("*"))))]


def devices(workers: int | None, *, cpu: bool) -> list[Device]:
    """One device a worker: a GPU each, in turn, or equal parts of the cores. `workers` None is one for each GPU or core.

    Raises:
        UserError: for more workers than cores, where there is no GPU.
    """
    cores, found = sorted(os.sched_getaffinity(0)), [] if cpu else gpus()
    if workers is not None and not found and workers > len(cores):
        raise UserError(
            f"hydra.launcher.workers={workers} is more than the {len(cores)} cores here; legal: 1 to {len(cores)}, or null"
        )
    number = workers or len(found) or len(cores)
    size = max(1, len(cores) // number)
    parts = [tuple(cores[place * size % len(cores) :][:size]) for place in range(number)]
    return [Device(found[place % len(found)] if found else None, part) for place, part in enumerate(parts)]


class Claim:
    """The devices that this sweep has: each is locked in a folder that all users of this machine's account share."""

    def __init__(self, wanted: list[Device]) -> None:
        """Take those that are free.

        Raises:
            UserError: if none is.
        """
        root = Path(tempfile.gettempdir()) / f"peftlab-{os.getuid()}"
        self._locks: dict[str, Lock] = {}
        free: list[Device] = []
        for device in wanted:
            names = (
                [f"gpu-{device.gpu}"] if device.gpu is not None else [f"core-{core}" for core in device.cores]
            )
            if all(self._take(root / name) for name in names):
                free.append(device)
        self.devices = free
        if not free:
            busy = ", ".join(dict.fromkeys(device.name for device in wanted))
            raise UserError(
                f"hydra/launcher=local: another sweep has {busy}; legal: when it has ended, or other devices"
                " (CUDA_VISIBLE_DEVICES, taskset)"
            )

    def release(self) -> None:
        """Others may have them."""
        for lock in self._locks.values():
            lock.release()

    def _take(self, folder: Path) -> bool:
        if folder.name in self._locks:
            return True
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder)
        if not lock.take():
            return False
        self._locks[folder.name] = lock
        return True
