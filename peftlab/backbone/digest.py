"""Which network a result belongs to."""

import hashlib

from torch import Tensor, nn


def digest_of(model: nn.Module) -> str:
    """sha256 over names, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    state: dict[str, Tensor] = model.state_dict()
    for key in sorted(state):
        digest.update(f"{key}{tuple(state[key].shape)}".encode())
        digest.update(state[key].contiguous().numpy().tobytes())
    return digest.hexdigest()
