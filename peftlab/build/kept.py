"""What the frozen backbone gave on this machine before: equal to the bit, or not used."""

import hashlib
import json
import platform
from collections.abc import Callable, Hashable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

import peftlab
from peftlab.inputs.cache import load_bytes, save_bytes

LIBRARIES = ("torch", "timm", "torchvision", "numpy", "transformers", "tokenizers")
ROOMS = (
    "backbone",
    "build",
    "dataset",
    "evaluate",
    "head",
    "inputs",
    "task",
)  # whose code makes such outputs


def kept(kind: str, key: Hashable, device: torch.device, build: Callable[[], Tensor]) -> Tensor:
    """The tensor of a key from the cache of this machine, or else built and put there."""
    found = load(kind, key, device)
    if found is None:
        found = build()
        save(kind, key, device, found)
    return found


def load(kind: str, key: Hashable, device: torch.device) -> Tensor | None:
    """What was saved of this key by the same code on the same kind of device; None where there is nothing."""
    there = load_bytes(kind, _whole(key, device))
    if there is None:
        return None
    head, content = there
    flat = torch.frombuffer(bytearray(content), dtype=getattr(torch, head["dtype"]))
    return flat.reshape(head["shape"])


def save(kind: str, key: Hashable, device: torch.device, value: Tensor) -> None:
    """Put a tensor that is on the CPU into the cache."""
    content = value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    dtype = str(value.dtype).removeprefix("torch.")
    save_bytes(kind, _whole(key, device), content, shape=list(value.shape), dtype=dtype)


def _whole(key: Hashable, device: torch.device) -> str:
    """The key with all else that the bits of a forward depend on."""
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    return json.dumps([repr(key), chip, threads, precision, str(device.type), _versions(), _code()])


@cache
def _processor() -> str:
    model = ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line for line in lines if line.startswith("model name")), "")
    except OSError:  # another system
        pass
    return f"{platform.machine()} {platform.processor()} {model} {torch.backends.cpu.get_cpu_capability()}"


@cache
def _versions() -> list[str]:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(name)
    return found


@cache
def _code() -> str:
    """sha256 of the sources: a cache must not outlive a change of what it holds."""
    digest, root = hashlib.sha256(), Path(str(peftlab.__file__)).parent
    for file in sorted(file for room in ROOMS for file in (root / room).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
