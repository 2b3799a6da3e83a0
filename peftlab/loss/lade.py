"""loss=lade: label distribution disentangling, balanced softmax with an estimate of log p(x|y) / p(x) beside it."""

import math
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from peftlab.loss.cross_entropy import Loss
from peftlab.option import Range

Number = Annotated[float | int, Range(0, 100)]


def lade(counts: Int[Tensor, " c"], *, weight: Number, remine: Number) -> Loss:
    """CE(z + log pi, y) - weight sum_c pi_c (E_c[z_c] - L_c - remine L_c^2), over the classes c of the batch.

    L_c = log mean_x e^(z_c(x) - log pi_c - log C), the mean over the batch as drawn from a balanced one; E_c is the mean over
    its items of class c. Both are of the whole batch, so with fit.accumulate each part has its own.

    Source: Hong et al. 2021, arXiv:2012.00321, with the regularised estimate of the published code. Differs: classes without
    training items take no part, and a class of which the batch has no item has no estimate.
    """
    prior = counts.double() / counts.sum()
    log_prior, num_classes = prior.log(), int((counts > 0).sum())

    def loss(logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        own = log_prior.to(logits)
        ce = F.cross_entropy(logits + own, labels)
        here = labels.unique()
        z = logits[:, here]
        spread = (z - own[here] - math.log(num_classes)).logsumexp(0) - math.log(len(labels))
        member = (labels.unsqueeze(1) == here).to(z)
        joint = (z * member).sum(0) / member.sum(0)
        estimate = joint - spread - remine * spread.square()
        return ce - weight * torch.dot(prior.to(logits)[here], estimate)

    return loss
