"""A trained temperature of a block's attention, a part of peft=gated_prompt."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.option import PositiveFloat
from peftlab.peft.delta import Attend, Heads, OnHeads
from peftlab.peft.view import View


class Temperature(OnHeads):
    """softmax(q k^T / (sqrt d tau)) v for all tokens; tau starts at 1 and is used inside [low, high].

    It changes the softmax rather than adding to it, so no gamma multiplies it (`scale: null`).

    Source: Yoo et al. 2023, arXiv:2306.05067, section 4.2 (adaptive attention shaping).
    """

    per_token: ClassVar[bool] = False
    is_gate: ClassVar[bool] = True

    def __init__(self, view: View, rng: torch.Generator, *, low: PositiveFloat, high: PositiveFloat) -> None:
        super().__init__()
        self.width = 1
        self.low, self.high = low, high
        self.tau = nn.Parameter(torch.ones(()))

    def forward(
        self,
        attend: Attend,
        q: Heads,
        k: Float[Tensor, "b g m d"],
        v: Float[Tensor, "b g m d"],
        gamma: Float[Tensor, ""] | Float[Tensor, "h 1 d"] | None,
        gate: Float[Tensor, "b 1 1 1"] | Float[Tensor, "b 1 n 1"] | None,
    ) -> Heads:
        """Attention with q / tau."""
        # clamped in value only, as the published code clamps the parameter before each forward: it can come back
        tau = self.tau + (self.tau.clamp(self.low, self.high) - self.tau).detach()
        return attend((q / tau).to(q), k, v)
