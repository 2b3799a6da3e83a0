"""optim=sgd: the published recipe's optimizer."""

import torch

from peftlab.optim.groups import Theta, groups
from peftlab.option import NonNegativeFloat, PositiveFloat


def sgd(
    theta: Theta,
    *,
    lr: PositiveFloat,
    momentum: NonNegativeFloat,
    weight_decay: NonNegativeFloat,
    gate_decay: NonNegativeFloat,
    selected_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """SGD with momentum over theta."""
    own = groups(theta, weight_decay=weight_decay, gate_decay=gate_decay, selected_decay=selected_decay)
    return torch.optim.SGD(own, lr=lr, momentum=momentum)
