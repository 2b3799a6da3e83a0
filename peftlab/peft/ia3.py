"""peft=ia3: rescale keys, values and the hidden layer of the MLP."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.peft.delta import Additive, Diagonal
from peftlab.peft.view import EVAL, Now, View


class Ia3(Additive, Diagonal):
    """delta(y) = l * y, so that y <- (1 + gamma l) * y; l in R^d, zero at the start.

    Foldable into rows of W_k and W_v and columns of W_2.

    Source: Liu et al. 2022 (T-Few), arXiv:2205.05638, section 3.3: l_k, l_v and l_ff; their vector is 1 + l.
    """

    def __init__(self, view: View, rng: torch.Generator) -> None:
        super().__init__()
        self.width = 1
        self.l = nn.Parameter(torch.zeros(view.num_out))

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """l * y."""
        return self.l * read

    def diagonal(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"] | None]:
        """(l, nothing)."""
        return self.l, None
