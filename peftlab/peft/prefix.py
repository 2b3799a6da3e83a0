"""peft=prefix: trained keys and values beside those of the tokens."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import Width
from peftlab.peft.delta import Attend, Heads, OnHeads, Reparametrised
from peftlab.peft.view import View


class Prefix(OnHeads, Reparametrised):
    """head_i = Attn(q_i, [P_k^i; K_i], [P_v^i; V_i]), P_k and P_v in R^{length x d}, N(0, 0.02).

    The same as (1 - lambda) Attn(q, K, V) + lambda Attn(q, P_k, P_v) with lambda the prefix's share of the softmax (He et
    al. 2022, section 3.1). So gamma multiplies lambda (Attn(q, P_k, P_v) - Attn(q, K, V)), and gamma = 0 switches the
    site off; a gate multiplies P_k and P_v, as published (UniPELT, HLPT). `mlp` trains P = W_2 tanh(W_1 E) instead,
    with this hidden width; only P is saved.

    Source: Li and Liang 2021, arXiv:2101.00190. Differs: each site has an MLP of its own, so that one site's start
    does not depend on which others are placed (the published one is shared by all blocks).
    """

    width_key: ClassVar[str | None] = "length"
    is_identity: ClassVar[bool] = False  # a key of any value takes a share of the softmax
    per_token: ClassVar[bool] = False
    after_training = {"mlp": None}  # noqa: RUF012

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        length: Width,
        mlp: Width | None,
    ) -> None:
        super().__init__()
        self.width, num_out = length, view.num_out
        self.mlp = mlp
        if mlp is None:
            self.P = nn.Parameter(0.02 * torch.randn(2, length, num_out, generator=rng))
            return
        self.E = nn.Parameter(torch.randn(length, num_out, generator=rng))  # nn.Embedding's start
        self.down, self.down_bias = _linear(num_out, mlp, rng)
        self.up, self.up_bias = _linear(mlp, 2 * num_out, rng)

    def vectors(self) -> Float[Tensor, "2 l d"]:
        """P_k and P_v."""
        if self.mlp is None:
            return self.P
        hidden = torch.tanh(F.linear(self.E, self.down, self.down_bias))
        return torch.stack(F.linear(hidden, self.up, self.up_bias).chunk(2, dim=-1))

    def finished(self) -> dict[str, Tensor]:
        """P alone."""
        return {"P": self.vectors()}

    def forward(
        self,
        attend: Attend,
        q: Heads,
        k: Float[Tensor, "b g m d"],
        v: Float[Tensor, "b g m d"],
        gamma: Float[Tensor, ""] | Float[Tensor, "h 1 d"] | None,
        gate: Float[Tensor, "b 1 1 1"] | Float[Tensor, "b 1 n 1"] | None,
    ) -> Heads:
        """Attention over the prefix and the tokens; with a gamma, so far from attention over the tokens alone."""
        P_k, P_v = (split_heads(vectors, k).to(k) for vectors in self.vectors())
        shape = (k.shape[0], -1, -1, -1)
        P_k, P_v = P_k.expand(shape), P_v.expand(shape)
        if gate is not None:
            P_k, P_v = (gate * P_k).to(k), (gate * P_v).to(v)
        both = attend(q, torch.cat([P_k, k], dim=2), torch.cat([P_v, v], dim=2))
        if gamma is None:
            return both
        alone = attend(q, k, v)
        return alone + gamma * (both - alone)


def split_heads(vectors: Float[Tensor, "l w"], like: Float[Tensor, "b h n d"]) -> Float[Tensor, "1 h l d"]:
    """The vectors of each head of `like`; where several queries share a key, their heads have the same."""
    heads = vectors.unflatten(-1, (-1, like.shape[-1])).transpose(0, 1)
    return heads.repeat_interleave(like.shape[1] // heads.shape[0], dim=0).unsqueeze(0)


def _linear(num_in: int, num_out: int, rng: torch.Generator) -> tuple[nn.Parameter, nn.Parameter]:
    """nn.Linear's start, from a stream of its own."""
    bound = num_in**-0.5
    weight = torch.empty(num_out, num_in).uniform_(-bound, bound, generator=rng)
    return nn.Parameter(weight), nn.Parameter(torch.empty(num_out).uniform_(-bound, bound, generator=rng))
