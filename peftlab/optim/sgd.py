"""optim=sgd: the published recipe's optimizer."""

from collections.abc import Iterable

import torch
from torch import nn

from peftlab.option import NonNegativeFloat, PositiveFloat


def sgd(
    theta: Iterable[nn.Parameter],
    *,
    lr: PositiveFloat,
    momentum: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """SGD with momentum over theta."""
    return torch.optim.SGD(theta, lr=lr, momentum=momentum, weight_decay=weight_decay)
