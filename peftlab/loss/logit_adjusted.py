"""loss=logit_adjusted: cross entropy with the class prior added to the logits, in training only."""

from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from peftlab.loss.cross_entropy import Loss
from peftlab.option import Range


def logit_adjusted(counts: Int[Tensor, " c"], *, tau: Annotated[float | int, Range(0, 100)]) -> Loss:
    """L = CE(z + tau log pi, y), pi_c = n_c / n over the split that the loss is applied to.

    A class without images has log pi = -inf: it takes no part in the softmax, as its prior says. tau = 0 is
    cross entropy.

    Source: Menon et al. 2021, arXiv:2007.07314, eq. 10.
    """
    shift = tau * (counts / counts.sum()).log() if tau > 0 else counts * 0.0

    def loss(logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        return F.cross_entropy(logits + shift.to(logits), labels)

    return loss
