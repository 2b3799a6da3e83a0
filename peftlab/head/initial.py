"""The class vectors that a head starts from."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Initial = Literal["class_mean", "linear_probe", "zeros", "random"]


def initial(
    num_features: int,
    num_classes: int,
    start: Float[Tensor, "c p"] | None,
    rng: torch.Generator,
    init: Initial,
) -> Float[Tensor, "c p"]:
    """What is known of each class (its mean, or what a head was `fitted` to), zeros, or N(0, 1/d).

    `start` is None when a saved head will replace it.
    """
    if init in ("class_mean", "linear_probe") and start is not None:
        return start.clone()
    if init == "random":
        return torch.randn(num_classes, num_features, generator=rng) / num_features**0.5
    return torch.zeros(num_classes, num_features)
