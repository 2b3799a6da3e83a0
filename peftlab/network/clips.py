"""Frames and tokens of clips: inside a backbone the frames of an item stand one behind the other on the axis of the batch."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from peftlab.peft.delta import Temporal
from peftlab.peft.view import Now


def of_clips(
    delta: Temporal, read: Float[Tensor, "bt *n d"], num_frames: int, now: Now
) -> Float[Tensor, "bt *n d"]:
    """A temporal delta of what stands frame by frame; where tokens are a grid (Swin), of its rows one behind the other."""
    tokens = read.unflatten(0, (-1, num_frames)).flatten(2, -2)
    added: Tensor = delta(tokens, now)
    return added.flatten(0, 1).view(*read.shape[:-1], -1)


def over_time(
    sublayer: Callable[[Tensor], Tensor], read: Float[Tensor, "bt n d"], num_frames: int
) -> Float[Tensor, "bt n d"]:
    """What a sub-layer gives when the frames of each token are the sequence that it reads.

    Source: Yang et al. 2023 (AIM), arXiv:2302.03024, section 3.3.
    """
    by_token = read.unflatten(0, (-1, num_frames)).transpose(1, 2)  # [b, n, t, d]
    given = sublayer(by_token.flatten(0, 1))
    return given.unflatten(0, by_token.shape[:2]).transpose(1, 2).flatten(0, 1)
