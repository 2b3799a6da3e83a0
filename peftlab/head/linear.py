"""head=linear: an affine map."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.head.initial import Initial, initial
from peftlab.head.probe import fitted


class Linear(nn.Module):
    """z = W f + b.

    With init=class_mean, w_c = m_c and b_c = -|m_c|^2 / 2: the nearest-class-mean classifier written as a linear map
    (Mensink et al. 2013, doi:10.1109/TPAMI.2013.83, eq. 5). With init=linear_probe, `start` has b_c behind w_c.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        start: Float[Tensor, "c p"] | None,
        rng: torch.Generator,
        *,
        init: Initial,
    ) -> None:
        super().__init__()
        known = initial(num_features, num_classes, start, rng, init)
        self.weight = nn.Parameter(known[:, :num_features].contiguous())
        bias = torch.zeros(num_classes)
        if init == "class_mean":
            bias = -self.weight.detach().square().sum(-1) / 2
        elif known.shape[1] > num_features:
            bias = known[:, num_features].clone()
        self.bias = nn.Parameter(bias)

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """Class logits."""
        return F.linear(features, self.weight, self.bias)

    def fitted(self, features: Float[Tensor, "n d"], labels: Int64[Tensor, " n"]) -> Float[Tensor, "c d+1"]:
        """(w_c, b_c) at the minimum of mean CE(z, y) + |W|^2 / 2n, as scikit-learn's LogisticRegression has it by default (C=1).

        Raises:
            ArithmeticError: if it is not reached.
        """

        def objective(inputs: Tensor, wanted: Tensor) -> Tensor:
            return F.cross_entropy(self(inputs), wanted) + self.weight.square().sum() / (2 * len(wanted))

        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        # features around 0 take a tenth of the steps; the bias takes the mean
        mean = features.double().mean(0)
        found = fitted(self, objective, features - mean, labels)
        found[:, -1] -= found[:, :-1] @ mean
        return found
