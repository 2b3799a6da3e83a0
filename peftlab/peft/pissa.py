"""peft=pissa: LoRA that starts at the principal part of the frozen weight."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.errors import UserError
from peftlab.option import Width
from peftlab.peft.delta import Additive, Elastic, LowRank, OfWeight
from peftlab.peft.view import EVAL, Now, View

Factors = tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]]


class Pissa(Additive, Elastic, LowRank, OfWeight):
    """delta(x) = (B A - B0 A0) x; B and A start at B0 = U sqrt(S) and A0 = sqrt(S) V^T, the principal part of W.

    W itself stays as it is, which is to train B A beside the frozen rest W - B0 A0. The start is saved with the adapter:
    another machine's decomposition may turn or flip it.

    Source: Meng et al. 2024, arXiv:2404.02948, eqs. 2-4. Differs: gamma multiplies the change B A - B0 A0 and not B A, so
    that at gamma = 0 the network is the frozen one; no dropout (the paper's is 0), which would drop a part of W x too.
    """

    width_key: ClassVar[str | None] = "rank"
    A0: Float[Tensor, "r d_in"]
    B0: Float[Tensor, "d_out r"]

    def __init__(self, view: View, rng: torch.Generator, *, rank: Width) -> None:
        super().__init__()
        self.width = rank
        B, A = principal(view.rows(), rank)
        self.A = nn.Parameter(A.clone())
        self.B = nn.Parameter(B.clone())
        self.register_buffer("A0", A)
        self.register_buffer("B0", B)

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """(B A - B0 A0) x."""
        B, A = self.factors(now)
        return F.linear(F.linear(read, A), B)

    def factors(self, now: Now = EVAL) -> Factors:
        """[B, B - B0] and [A - A0; A0], whose product is B A - B0 A0: exactly 0 at the start, and without cancellation."""
        b = now.width
        B, A, B0, A0 = self.B[:, :b], self.A[:b], self.B0[:, :b], self.A0[:b]
        return torch.cat([B, B - B0], dim=1), torch.cat([A - A0, A0])

    def used(self, width: int) -> dict[str, Tensor]:
        """The first ranks, those of the largest singular values."""
        return {"A": self.A[:width], "B": self.B[:, :width]}


def principal(weight: Float[Tensor, "d_out d_in"], rank: int) -> Factors:
    """U sqrt(S) and sqrt(S) V^T of the largest singular values; the largest entry of each column of U is positive.

    Raises:
        UserError: if the weight has fewer singular values.
    """
    if rank > min(weight.shape):
        raise UserError(
            f"peft=pissa: rank={rank} is more than the {min(weight.shape)} singular values of a weight;"
            f" legal: {min(weight.shape)} or less"
        )
    U, S, V = torch.linalg.svd(weight, full_matrices=False)
    U, S, V = U[:, :rank], S[:rank].sqrt(), V[:rank]
    sign = U.gather(0, U.abs().argmax(dim=0, keepdim=True)).sign().squeeze(0)
    return U * (sign * S), V * (sign * S).unsqueeze(-1)
