"""peft=st_adapter: a bottleneck with a convolution over time between its two projections."""

import math
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import Range, Width
from peftlab.peft.delta import Temporal
from peftlab.peft.view import EVAL, Now, View


class StAdapter(Temporal):
    """delta(X) = W_up DWConv(W_down X + b_down) + b_up on the patches of all frames; the class token and registers get none.

    DWConv is depthwise over time, with `kernel` taps and zeros beyond both ends. It starts at zero and the projections
    at random (kaiming-uniform(sqrt 5)), so its own gradient is the only one of the first step.

    Source: Pan et al. 2022, arXiv:2206.13559, eq. 4, as in their code, which has no activation between the projections.
    """

    width_key: ClassVar[str | None] = "bottleneck"

    def __init__(
        self, view: View, rng: torch.Generator, *, bottleneck: Width, kernel: Annotated[int, Range(1, 63)]
    ) -> None:
        super().__init__()
        self.width = bottleneck
        self.num_prefix_tokens = view.num_prefix_tokens
        self.down = nn.Parameter(torch.empty(bottleneck, view.num_in))
        self.down_bias = nn.Parameter(torch.zeros(bottleneck))
        self.taps = nn.Parameter(torch.zeros(kernel, bottleneck))
        self.taps_bias = nn.Parameter(torch.zeros(bottleneck))
        self.up = nn.Parameter(torch.empty(view.num_out, bottleneck))
        self.up_bias = nn.Parameter(torch.zeros(view.num_out))
        for weight in (self.down, self.up):
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=rng)

    def forward(self, read: Float[Tensor, "b t n d_in"], now: Now = EVAL) -> Float[Tensor, "b t n d_out"]:
        """W_up DWConv(W_down X + b_down) + b_up, and zeros for the tokens before the patches."""
        hidden = F.linear(read[:, :, self.num_prefix_tokens :], self.down, self.down_bias)
        added = F.linear(self._over_time(hidden), self.up, self.up_bias)
        return F.pad(added, (0, 0, self.num_prefix_tokens, 0))

    def _over_time(self, hidden: Float[Tensor, "b t n r"]) -> Float[Tensor, "b t n r"]:
        """sum_k w_k h_(t + k - (K - 1) // 2) + b, each channel with taps of its own."""
        num_taps, num_frames = len(self.taps), hidden.shape[1]
        before = (num_taps - 1) // 2
        padded = F.pad(hidden, (0, 0, 0, 0, before, num_taps - 1 - before))
        parts = (tap * padded[:, k : k + num_frames] for k, tap in enumerate(self.taps))
        return sum(parts, start=self.taps_bias)
