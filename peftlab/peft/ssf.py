"""peft=ssf: scale and shift what a layer gives."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.peft.delta import Additive, Diagonal
from peftlab.peft.view import EVAL, Now, View


class Ssf(Additive, Diagonal):
    """delta(y) = s * y + t, so that y <- (1 + gamma s) * y + gamma t; s and t in R^d, zero at the start.

    Foldable: W <- (1 + gamma s) W, b <- (1 + gamma s) b + gamma t.

    Source: Lian et al. 2022 (SSF), arXiv:2210.08823, eq. 3. Differs: identity at the start (their code draws the scale
    from N(1, 0.02) and the shift from N(0, 0.02)); the patch embedding and the last norm, outside the blocks, have none.
    """

    def __init__(self, view: View, rng: torch.Generator) -> None:
        super().__init__()
        self.width = 1
        self.s = nn.Parameter(torch.zeros(view.num_out))
        self.t = nn.Parameter(torch.zeros(view.num_out))

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """s * y + t."""
        return torch.addcmul(self.t, read, self.s)

    def diagonal(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"] | None]:
        """(s, t)."""
        return self.s, self.t
