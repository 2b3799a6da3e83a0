"""scaling=gated: how strongly a site acts depends on what it reads."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.option import PositiveFloat, Share
from peftlab.scaling.gamma import Gamma, Rule, Scaled, Scaling
from peftlab.site import Site


class Gate(nn.Module):
    """g(x) = sigmoid(w x + b), for every token, or its mean over the tokens of a sample; `init` for every x at the start.

    Source: Mao et al. 2022 (UniPELT), arXiv:2110.07577, section 3.2. Differs: w starts at 0, not at N(0, 0.02), so that a
    gate needs no random draw.
    """

    def __init__(self, num_in: int, *, per: Literal["sample", "token"], init: float) -> None:
        super().__init__()
        self.per = per
        self.w = nn.Parameter(torch.zeros(num_in))
        self.b = nn.Parameter(torch.tensor(math.log(init / (1 - init))))

    def forward(
        self, read: Float[Tensor, "b *n d"], mask: Int[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b *m 1"]:
        """One number per token, or per sample (in windowed attention, per window). Where `mask` is 0, a token is padding."""
        gate = torch.sigmoid(read @ self.w.to(read) + self.b.to(read)).unsqueeze(-1)
        if self.per == "token":
            return gate
        if mask is None:
            return gate.mean(dim=tuple(range(1, gate.ndim)), keepdim=True)
        weight = mask.to(gate).unsqueeze(-1)
        return (gate * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True)


def gated(
    places: Sequence[Scaled],
    *,
    value: PositiveFloat | None,
    rule: Rule,
    per: Literal["sample", "token"],
    reads: Literal["site", "sublayer"],
    init: Share,
) -> Scaling:
    """write <- write + g(x) * value * rule(r) * delta(read). The gates are trained with theta.

    `reads` says what x is: what the site reads (UniPELT), or what the attention or the FFN around it takes (HLPT, whose
    gate at mlp2 reads the input of the FFN). Prompts and norms stand in no sub-layer, so their x is their own.

    Raises:
        UserError: for per=token where a delta is no token's own.
    """
    shared = [place.site for place in places if not place.per_token]
    if per == "token" and shared:
        raise UserError(
            f"scaling.per=token: {shared[0]} has prompts or prefixes, which all tokens share; legal: sample"
        )
    gates: dict[Site, nn.Module] = {place.site: Gate(place.num_read, per=per, init=init) for place in places}
    return Scaling(Gamma(places, value=value, rule=rule), gates=gates)
