"""Independent, named streams of random numbers: two runs that differ in placement share all other draws."""

import hashlib

import torch


def stream_seed(seed: int, *name: str | int) -> int:
    """A 63-bit seed for the stream called `name`, the same on every machine: `stream_seed(0, "order", 3)`."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A CPU generator at the start of the stream called `name`."""
    return torch.Generator().manual_seed(stream_seed(seed, *name))
