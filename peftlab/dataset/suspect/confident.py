"""Confident learning: which labels are likely wrong."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class Doubt(NamedTuple):
    """An item with a label that is likely wrong, the class that it is taken for, and the probability of its own label."""

    item: int
    likely: int
    confidence: float


def doubts(probabilities: Float[Tensor, "n c"], labels: Int64[Tensor, " n"]) -> list[Doubt]:
    """The items off the diagonal of the confident joint, the least confident in its own label first.

    t_j is the mean of p(j | x) over the items x with label j. An item is taken for the j with the largest p(j | x) of those
    with p(j | x) >= t_j, and for nothing if there is none. `probabilities` are of items that were not trained on.

    Source: Northcutt, Jiang and Chuang 2021, arXiv:1911.00068, eq. 1 and 2, and errors by the confident joint (their method 2).
    """
    num_classes = probabilities.shape[1]
    own = probabilities.gather(1, labels[:, None]).squeeze(1)
    counts = torch.bincount(labels, minlength=num_classes)
    thresholds = torch.zeros(num_classes, dtype=probabilities.dtype).index_add_(0, labels, own) / counts
    thresholds[counts == 0] = torch.inf  # nobody has this label
    confident = torch.where(probabilities >= thresholds, probabilities, -1.0)
    best, likely = confident.max(1)
    found = ((best >= 0) & (likely != labels)).nonzero().flatten().tolist()
    return sorted(
        (Doubt(item, int(likely[item]), float(own[item])) for item in found),
        key=lambda doubt: doubt.confidence,
    )
