"""optim=sgd: the published recipe's optimizer."""

import torch

from peftlab.inputs.eager import SGD
from peftlab.optim.groups import Theta, groups
from peftlab.option import BelowOne, Decay, LearningRate


def sgd(
    theta: Theta,
    *,
    lr: LearningRate,
    momentum: BelowOne,
    weight_decay: Decay,
    gate_decay: Decay,
    selected_decay: Decay,
) -> torch.optim.Optimizer:
    """SGD with momentum over theta."""
    own = groups(theta, weight_decay=weight_decay, gate_decay=gate_decay, selected_decay=selected_decay)
    return SGD(own, lr=lr, momentum=momentum, foreach=True)
