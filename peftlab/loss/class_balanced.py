"""loss=class_balanced: cross entropy weighted by the effective number of items of a class."""

from typing import Annotated

import torch
from jaxtyping import Int
from torch import Tensor

from peftlab.loss.cross_entropy import Loss
from peftlab.loss.weighted import weighted
from peftlab.option import Range


def class_balanced(counts: Int[Tensor, " c"], *, beta: Annotated[float | int, Range(0, 1)]) -> Loss:
    """w_c in proportion to (1 - beta) / (1 - beta^n_c), of mean 1; beta = 0 is cross entropy, beta = 1 is 1 / n_c.

    Source: Cui et al. 2019, arXiv:1901.05555 (the effective number of samples).
    """
    number = counts.double()
    if beta < 1:
        number = (1 - torch.as_tensor(beta, dtype=torch.float64) ** number) / (1 - beta)
    return weighted(counts, 1 / number)
