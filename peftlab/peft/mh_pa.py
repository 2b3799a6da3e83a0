"""peft=mh_pa: a parallel adapter in every attention head."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.option import Width
from peftlab.peft.delta import Attend, Heads, OnHeads
from peftlab.peft.prefix import split_heads
from peftlab.peft.view import View


class MhPa(OnHeads):
    """head_i <- head_i + ReLU(q_i P_k^i^T) P_v^i before W_o; P_k is N(0, 0.02), P_v zero.

    The frozen W_q P_k^T is the down-projection, so nothing is divided by sqrt d_h, and the size is a prefix's: 2 length d.

    Source: He et al. 2022, arXiv:2110.04366, table 1 (multi-head PA), as in their code (cross_attn_relu). Differs: no
    layer norm of its own, since q is already made from the normalised stream of a pre-norm ViT.
    """

    width_key: ClassVar[str | None] = "length"

    def __init__(self, view: View, rng: torch.Generator, *, length: Width) -> None:
        super().__init__()
        self.width = length
        self.P_k = nn.Parameter(0.02 * torch.randn(length, view.num_out, generator=rng))
        self.P_v = nn.Parameter(torch.zeros(length, view.num_out))

    def forward(
        self,
        attend: Attend,
        q: Heads,
        k: Float[Tensor, "b g m d"],
        v: Float[Tensor, "b g m d"],
        gamma: Float[Tensor, ""] | Float[Tensor, "h 1 d"] | None,
        gate: Float[Tensor, "b 1 1 1"] | Float[Tensor, "b 1 n 1"] | None,
    ) -> Heads:
        """Frozen attention + gamma ReLU(q P_k^T) P_v."""
        P_k, P_v = (split_heads(vectors, q).to(q) for vectors in (self.P_k, self.P_v))
        added = torch.relu(q @ P_k.transpose(-1, -2)) @ P_v
        for factor in (gamma, gate):
            added = added if factor is None else added * factor
        return attend(q, k, v) + added
