"""The functional form of every adapter (adapter_houlsby, adapter_pfeiffer, adapter_parallel,
adapter_scaled_parallel, adaptformer).

The methods differ in what they read and write, which is their YAML's `insertion` and `positions`.
"""

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import BelowOne, Width
from peftlab.peft.delta import Additive, Elastic
from peftlab.peft.dropout import dropout
from peftlab.peft.view import EVAL, Now, View

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": F.silu,
}


class Adapter(Additive, Elastic):
    """delta(z) = W_up dropout(phi(W_down norm(z) + b_down)) + b_up; W_up, b_down and b_up zero.

    `init` is W_down's: kaiming-uniform(sqrt 5), as LoRA's A, or N(0, 0.02) ("bert" in He et al.'s code). A zero
    W_down beside a zero W_up would never receive a gradient (VPT's adapter baseline), so it is no option.

    Source: Houlsby et al. 2019, arXiv:1902.00751; He et al. 2022, arXiv:2110.04366, table 1.
    """

    width_key: ClassVar[str | None] = "bottleneck"

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        bottleneck: Width,
        activation: Literal["relu", "gelu", "quick_gelu", "silu"],
        norm: bool,
        dropout: BelowOne,
        init: Literal["kaiming", "normal"],
    ) -> None:
        super().__init__()
        self.width = bottleneck
        self.norm = nn.LayerNorm(view.num_in) if norm else nn.Identity()
        self.down = nn.Parameter(torch.empty(bottleneck, view.num_in))
        self.down_bias = nn.Parameter(torch.zeros(bottleneck))
        self.up = nn.Parameter(torch.zeros(view.num_out, bottleneck))
        self.up_bias = nn.Parameter(torch.zeros(view.num_out))
        if init == "kaiming":
            nn.init.kaiming_uniform_(self.down, a=math.sqrt(5), generator=rng)
        else:
            nn.init.normal_(self.down, std=0.02, generator=rng)
        self.activation = ACTIVATIONS[activation]
        self.dropout = dropout

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """W_up dropout(phi(W_down norm(z) + b_down)) + b_up."""
        down, down_bias, up = self._first(now.width)
        hidden = self.activation(F.linear(self.norm(read), down, down_bias))
        return F.linear(dropout(hidden, self.dropout, now), up, self.up_bias)

    def used(self, width: int) -> dict[str, Tensor]:
        """The first hidden units; every width has the norm and b_up whole."""
        named = zip(("down", "down_bias", "up"), self._first(width), strict=True)
        return {**dict(self.named_parameters()), **dict(named)}

    def _first(self, b: int | None) -> tuple[Tensor, Tensor, Tensor]:
        if b is None:
            return self.down, self.down_bias, self.up
        return self.down[:b], self.down_bias[:b], self.up[:, :b]
