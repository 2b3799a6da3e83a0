"""The class vectors that a head starts from."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Initial = Literal["class_mean", "zeros", "random"]


def initial(
    num_features: int,
    num_classes: int,
    means: Float[Tensor, "c d"] | None,
    rng: torch.Generator,
    init: Initial,
) -> Float[Tensor, "c d"]:
    """Class means of the frozen features, zeros, or N(0, 1/d). `means` is None when a saved head will replace them."""
    if init == "class_mean" and means is not None:
        return means.clone()
    if init == "random":
        return torch.randn(num_classes, num_features, generator=rng) / num_features**0.5
    return torch.zeros(num_classes, num_features)
