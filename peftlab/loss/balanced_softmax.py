"""loss=balanced_softmax: a softmax of n_c e^z, in training only."""

from jaxtyping import Int
from torch import Tensor

from peftlab.loss.cross_entropy import Loss
from peftlab.loss.logit_adjusted import logit_adjusted


def balanced_softmax(counts: Int[Tensor, " c"]) -> Loss:
    """L = -log( n_y e^(z_y) / sum_c n_c e^(z_c) ), which is logit adjustment with tau = 1.

    Source: Ren et al. 2020, arXiv:2007.10740, eq. 3.
    """
    return logit_adjusted(counts, tau=1.0)
