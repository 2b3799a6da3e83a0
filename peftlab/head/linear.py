"""head=linear: an affine map."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.head.initial import Initial, initial


class Linear(nn.Module):
    """z = W f + b.

    With init=class_mean, w_c = m_c and b_c = -|m_c|^2 / 2: the nearest-class-mean classifier written as a linear map
    (Mensink et al. 2013, doi:10.1109/TPAMI.2013.83, eq. 5).
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        means: Float[Tensor, "c d"] | None,
        rng: torch.Generator,
        *,
        init: Initial,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(initial(num_features, num_classes, means, rng, init))
        bias = (
            -self.weight.detach().square().sum(-1) / 2 if init == "class_mean" else torch.zeros(num_classes)
        )
        self.bias = nn.Parameter(bias)

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """Class logits."""
        return F.linear(features, self.weight, self.bias)
