"""Which network a result belongs to."""

import hashlib

from torch import Tensor, nn

from peftlab.backbone.plain import plain


def digest_of(model: nn.Module) -> str:
    """sha256 over names, shapes and bytes of all weights; of those in int8 the bytes of what is multiplied by."""
    digest = hashlib.sha256()
    state: dict[str, Tensor] = model.state_dict()
    for key in sorted(state):
        digest.update(f"{key}{tuple(state[key].shape)}".encode())
        digest.update(plain(state[key]).contiguous().numpy().tobytes())
    return digest.hexdigest()
