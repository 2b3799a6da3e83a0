"""loss=cross_entropy."""

from collections.abc import Callable

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from peftlab.option import BelowOne

Loss = Callable[[Float[Tensor, "b c"], Int[Tensor, " b"]], Float[Tensor, ""]]


def cross_entropy(counts: Int[Tensor, " c"], *, label_smoothing: BelowOne) -> Loss:
    """Mean of -sum_k q_k log softmax(z)_k, q = (1 - s) [k = y] + s / C with `label_smoothing` s; `counts`, the images per class,
    play no part.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7, for s > 0.
    """

    def loss(logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)

    return loss  # a function of ours: Hydra 1.4 lets a target hand out no other
