"""loss=focal: cross entropy in which items that are answered well count less."""

from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from peftlab.loss.cross_entropy import Loss
from peftlab.option import Range


def focal(counts: Int[Tensor, " c"], *, gamma: Annotated[float | int, Range(0, 100)]) -> Loss:
    """Mean of -(1 - p_y)^gamma log p_y, p = softmax(z); `counts` play no part. gamma = 0 is cross entropy.

    Source: Lin et al. 2017, arXiv:1708.02002, eq. 4, with one softmax in place of a sigmoid for each class.
    """

    def loss(logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        nll = F.cross_entropy(logits, labels, reduction="none")
        # 1 - p_y as -expm1(log p_y): exact where p_y is nearly 1
        return ((-(-nll).expm1()).clamp(min=0) ** gamma * nll).mean()

    return loss
