"""peft=dylora: one low-rank update that works at every rank up to its largest."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.errors import UserError
from peftlab.option import Width
from peftlab.peft.delta import Additive, LowRank, Nested
from peftlab.peft.view import EVAL, Now, View


class DyLora(Additive, LowRank, Nested):
    """delta(x) = (1 / b) B_{:, :b} A_{:b, :} x, with one b in 1..rank drawn for the whole network in every training step.

    Only row b of A and column b of B are trained in that step: the ones below are held fixed, and each is a parameter
    of its own, so that neither momentum nor weight decay moves the others. Outside training b is `eval_rank` (null is
    the largest), unless the forward names another. alpha is the YAML's `scale`, so the factor is alpha / b in training
    and test.

    Source: Valipour et al. 2023 (DyLoRA), arXiv:2210.07558, the "frozen" mode. Differs: the initialisation of A takes
    kaiming-uniform(sqrt 5) as LoRA does; before the first draw all ranks act and train (the preflight sees every tensor).

    Raises:
        UserError: for an eval_rank that is not one of 1..rank.
    """

    width_key: ClassVar[str | None] = "rank"

    def __init__(self, view: View, rng: torch.Generator, *, rank: Width, eval_rank: Width | None) -> None:
        super().__init__()
        A = nn.init.kaiming_uniform_(torch.empty(rank, view.num_in), a=math.sqrt(5), generator=rng)
        self.A = nn.ParameterList([row.clone() for row in A])
        self.B = nn.ParameterList([torch.zeros(view.num_out) for _ in range(rank)])
        self.width = rank
        self.eval_rank = rank if eval_rank is None else eval_rank
        if self.eval_rank > rank:
            raise UserError(f"peft.eval_rank={eval_rank} is not a rank of this DyLoRA; legal: 1 to {rank}")

    def sample(self, u: float) -> int:
        """The rank of a training step."""
        return 1 + int(u * self.width)

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """(1 / b) B A x."""
        B, A = self.factors(now)
        return F.linear(F.linear(read, A), B)

    def factors(self, now: Now = EVAL) -> tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]]:
        """(B / b, A) of the first b ranks."""
        b = now.width or (self.width if now.training else self.eval_rank)
        A, B = [self.A[i] for i in range(b)], [self.B[i] for i in range(b)]
        if now.training and now.width is not None:
            A[:-1], B[:-1] = [row.detach() for row in A[:-1]], [column.detach() for column in B[:-1]]
        return torch.stack(B, dim=1) / b, torch.stack(A)
