"""Dropout from a stream of one's own."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from peftlab.peft.view import Now


def dropout(x: Float[Tensor, "..."], p: float, now: Now) -> Float[Tensor, "..."]:
    """While training, each entry is 0 with probability p and else divided by 1 - p; the mask comes from `now.rng`.

    Without a stream (somebody's own loop) it is torch's, which draws from the global one.
    """
    if not now.drops(p):
        return x
    if now.rng is None or p == 1:
        return F.dropout(x, p, training=True)
    with torch.no_grad():
        mask = torch.empty_like(x).bernoulli_(1 - p, generator=now.rng).div_(1 - p)
    return x * mask
