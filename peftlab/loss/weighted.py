"""Cross entropy in which each class has a weight of its own."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from peftlab.loss.cross_entropy import Loss


def weighted(counts: Int[Tensor, " c"], weights: Float[Tensor, " c"]) -> Loss:
    """Mean over items of w_y CE(z, y), w in proportion to `weights` with a mean of 1 over the classes that have items.

    A mean over items and not over the weights of a batch, so that a batch in several parts has the gradient of the whole.
    """
    is_there = counts > 0
    own = torch.where(is_there, weights, torch.zeros_like(weights))
    own = own / own.sum() * is_there.sum()

    def loss(logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        return (own.to(logits)[labels] * F.cross_entropy(logits, labels, reduction="none")).mean()

    return loss
