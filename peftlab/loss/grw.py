"""loss=grw: generalised re-weighting, cross entropy weighted by a power of the class frequencies."""

from typing import Annotated

from jaxtyping import Int
from torch import Tensor

from peftlab.loss.cross_entropy import Loss
from peftlab.loss.weighted import weighted
from peftlab.option import Range


def grw(counts: Int[Tensor, " c"], *, rho: Annotated[float | int, Range(0, 10)]) -> Loss:
    """w_c in proportion to (1 / pi_c)^rho, pi_c = n_c / n, of mean 1; rho = 0 is cross entropy.

    Source: Zhang et al. 2021 (DisAlign), arXiv:2103.16370 (its generalized re-weight).
    """
    prior = counts.double() / counts.sum()
    return weighted(counts, prior**-rho)
