"""The interface of every additive method: a module that turns what a site reads into what is added there."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Delta(nn.Module, ABC):
    """write <- write + gamma * delta(read), with delta(read) = 0 at the start.

    Source: He et al. 2022, arXiv:2110.04366, table 1 (the functional form).
    """

    width: int  # rank or bottleneck, for the scaling rules over_rank and over_sqrt_rank

    @abstractmethod
    def forward(self, read: Float[Tensor, "*b d_in"]) -> Float[Tensor, "*b d_out"]:
        """The delta, without gamma."""

    def factors(self) -> tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]] | None:
        """(B, A) if delta(read) = B A read now, so that a site may merge it into its weight; else None."""
        return None
