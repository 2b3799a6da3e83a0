"""peft=lora: low-rank update of a frozen linear layer."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import BelowOne, Width
from peftlab.peft.delta import Additive, Elastic, LowRank
from peftlab.peft.dropout import dropout
from peftlab.peft.view import EVAL, Now, View


class Lora(Additive, Elastic, LowRank):
    """delta(x) = B A dropout(x); A kaiming-uniform(sqrt 5), B zero.

    Source: Hu et al. 2022, arXiv:2106.09685, eq. 3. Differs: alpha / r lives in peftlab.scaling; at `out` it is
    parallel to W_o (the MetaPEFT release applies it to W_o's output, which is peft.insertion=sequential here).
    """

    width_key: ClassVar[str | None] = "rank"

    def __init__(self, view: View, rng: torch.Generator, *, rank: Width, dropout: BelowOne) -> None:
        super().__init__()
        self.width = rank
        self.A = nn.Parameter(torch.empty(rank, view.num_in))
        self.B = nn.Parameter(torch.zeros(view.num_out, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5), generator=rng)
        self.dropout = dropout

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """B A dropout(x)."""
        B, A = self._first(now.width)
        return F.linear(F.linear(dropout(read, self.dropout, now), A), B)

    def factors(self, now: Now = EVAL) -> tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]] | None:
        """(B, A), unless dropout acts between x and A."""
        return None if now.drops(self.dropout) else self._first(now.width)

    def used(self, width: int) -> dict[str, Tensor]:
        """The first ranks."""
        B, A = self._first(width)
        return {"A": A, "B": B}

    def _first(self, b: int | None) -> tuple[Tensor, Tensor]:
        return (self.B, self.A) if b is None else (self.B[:, :b], self.A[:b])
