"""Independent, named streams of random numbers: two runs that differ in placement share all other draws."""

import hashlib

import torch


def stream_seed(seed: int, *name: str | int) -> int:
    """A 63-bit seed for the stream called `name`, the same on every machine: `stream_seed(0, "order", 3)`."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *name: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator at the start of the stream called `name`; on a GPU its numbers are others than on a CPU."""
    return torch.Generator(device).manual_seed(stream_seed(seed, *name))
