"""A position of each frame, for the methods whose attention over time could not tell frames apart without one."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.option import Range
from peftlab.peft.delta import Temporal
from peftlab.peft.view import EVAL, Now, View


class FramePosition(Temporal):
    """delta(X)_t = P_t for every token of frame t; P is zero at the start. Clips of fewer frames take the first so many.

    Source: Yang et al. 2023 (AIM), arXiv:2302.03024: their temporal_embedding.
    """

    def __init__(self, view: View, rng: torch.Generator, *, frames: Annotated[int, Range(1, 1024)]) -> None:
        super().__init__()
        self.width = 1
        self.P = nn.Parameter(torch.zeros(frames, view.num_out))

    def forward(self, read: Float[Tensor, "b t n d"], now: Now = EVAL) -> Float[Tensor, "b t n d"]:
        """P_t.

        Raises:
            UserError: for clips of more frames.
        """
        num_frames, known = read.shape[1], len(self.P)
        if num_frames > known:
            raise UserError(
                f"peft: there are positions of {known} frames, and the clips have {num_frames}; legal: clips of at most"
                f" {known} frames"
            )
        return self.P[:num_frames, None].expand_as(read)
