"""What a hypergradient estimator takes and gives."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Values = dict[str, Float[Tensor, "..."]]
InnerLoss = Callable[[Values, Values, int], Float[Tensor, ""]]  # (theta, gamma, t): t says which inner batch
OuterLoss = Callable[[Values, Values], Float[Tensor, ""]]  # (theta, gamma)


class Estimate(NamedTuple):
    """A hypergradient, one tensor per gamma, and the outer loss of the forward pass it came from."""

    grad: Values
    outer_loss: Float[Tensor, ""]
