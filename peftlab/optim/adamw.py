"""optim=adamw: Adam with decoupled weight decay."""

from collections.abc import Iterable

import torch
from torch import nn

from peftlab.kinds import Fraction, NonNegativeFloat, PositiveFloat


def adamw(
    theta: Iterable[nn.Parameter], *, lr: PositiveFloat, beta1: Fraction, beta2: Fraction, weight_decay: NonNegativeFloat
) -> torch.optim.Optimizer:
    """AdamW over theta.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101.
    """
    return torch.optim.AdamW(theta, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay)
