"""peft=dylora: one low-rank update that works at every rank up to its largest."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.errors import UserError
from peftlab.option import PositiveInt
from peftlab.peft.delta import Additive


class DyLora(Additive):
    """delta(x) = (1 / b) B_{:, :b} A_{:b, :} x, with one b in 1..rank drawn for the whole network in every training step.

    Only row b of A and column b of B are trained in that step: the ones below are held fixed, and each is a parameter
    of its own, so that neither momentum nor weight decay moves the others. Outside training b is `eval_rank` (null is
    the largest); `at` sets it afterwards. alpha is the YAML's `scale`, so the factor is alpha / b in training and test.

    Source: Valipour et al. 2023 (DyLoRA), arXiv:2210.07558, the "frozen" mode. Differs: the initialisation of A takes
    kaiming-uniform(sqrt 5) as LoRA does; before the first draw all ranks act and train (the preflight sees every tensor).
    """

    width_key: ClassVar[str | None] = "rank"
    is_nested: ClassVar[bool] = True

    def __init__(
        self,
        num_in: int,
        num_out: int,
        rng: torch.Generator,
        *,
        rank: PositiveInt,
        eval_rank: PositiveInt | None,
    ) -> None:
        super().__init__()
        A = nn.init.kaiming_uniform_(torch.empty(rank, num_in), a=math.sqrt(5), generator=rng)
        self.A = nn.ParameterList([row.clone() for row in A])
        self.B = nn.ParameterList([torch.zeros(num_out) for _ in range(rank)])
        self.width = rank
        self.drawn: int | None = None
        self.at(rank if eval_rank is None else eval_rank)

    def at(self, width: int) -> None:
        """Use this rank outside training.

        Raises:
            UserError: if it is not one of 1..rank.
        """
        if not 1 <= width <= self.width:
            raise UserError(f"peft.eval_rank={width} is not a rank of this DyLoRA; legal: 1 to {self.width}")
        self.eval_rank = width

    def draw(self, common: float, own: float) -> None:
        """The rank of this training step."""
        self.drawn = 1 + int(common * self.width)

    def forward(self, read: Float[Tensor, "*b d_in"]) -> Float[Tensor, "*b d_out"]:
        """(1 / b) B A x."""
        B, A = self.factors()
        return F.linear(F.linear(read, A), B)

    def factors(self) -> tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]]:
        """(B / b, A) of the first b ranks."""
        b = (self.drawn or self.width) if self.training else self.eval_rank
        A, B = [self.A[i] for i in range(b)], [self.B[i] for i in range(b)]
        if self.training and self.drawn is not None:
            A[:-1], B[:-1] = [row.detach() for row in A[:-1]], [column.detach() for column in B[:-1]]
        return torch.stack(B, dim=1) / b, torch.stack(A)
