"""peft=clip_adapter: a bottleneck on what a tower gives of an image."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import Width
from peftlab.peft.delta import Additive
from peftlab.peft.view import EVAL, Now, View


class ClipAdapter(Additive):
    """delta(f) = relu(W_up relu(W_down f)), both at random (kaiming-uniform(sqrt 5)).

    Published as alpha A(f) + (1 - alpha) f, whose direction is that of f + gamma A(f) with gamma = alpha / (1 - alpha), and the
    direction is all that a cosine sees: alpha = 0.2 is gamma = 1/4. It does not start at zero: behind a relu a zero W_up would
    never receive a gradient.

    Source: Gao et al. 2021, arXiv:2110.04544, eq. 4 to 7.
    """

    width_key: ClassVar[str | None] = "bottleneck"
    is_identity: ClassVar[bool] = False

    def __init__(self, view: View, rng: torch.Generator, *, bottleneck: Width) -> None:
        super().__init__()
        self.width = bottleneck
        self.down = nn.Parameter(torch.empty(bottleneck, view.num_in))
        self.up = nn.Parameter(torch.empty(view.num_out, bottleneck))
        for weight in (self.down, self.up):
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=rng)

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """relu(W_up relu(W_down f))."""
        return F.relu(F.linear(F.relu(F.linear(read, self.down)), self.up))
