"""head=cosine: logits are scaled cosines between the feature and one vector per class."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.head.initial import initial
from peftlab.head.probe import fitted
from peftlab.option import PositiveFloat


class Cosine(nn.Module):
    """z_c = scale * <f / |f|, w_c / |w_c|>, no bias.

    Source: LIFT, Shi et al. 2024, arXiv:2309.10019, section 4 (scale 25, class means of the frozen features). A zero vector has no
    direction (its gradient would be infinite), so init=zeros is refused.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        start: Float[Tensor, "c d"] | None,
        rng: torch.Generator,
        *,
        scale: PositiveFloat,
        init: Literal["class_mean", "linear_probe", "random"],
    ) -> None:
        super().__init__()
        weight = initial(num_features, num_classes, start, rng, init)
        self.weight = nn.Parameter(weight if init == "random" else F.normalize(weight, dim=-1))
        self.scale = scale

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """Class logits."""
        return self.scale * F.linear(F.normalize(features, dim=-1), F.normalize(self.weight, dim=-1))

    def fitted(self, features: Float[Tensor, "n d"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "c d"]:
        """w_c at a minimum of mean CE(z, y). No penalty: lengths of w_c change nothing, and of their directions one is best.

        Raises:
            ArithmeticError: if it is not reached.
        """
        return fitted(self, lambda inputs, wanted: F.cross_entropy(self(inputs), wanted), features, labels)
