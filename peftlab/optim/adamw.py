"""optim=adamw: Adam with decoupled weight decay."""

import torch

from peftlab.inputs.eager import AdamW
from peftlab.optim.groups import Theta, groups
from peftlab.option import BelowOne, Decay, LearningRate


def adamw(
    theta: Theta,
    *,
    lr: LearningRate,
    beta1: BelowOne,
    beta2: BelowOne,
    weight_decay: Decay,
    gate_decay: Decay,
    selected_decay: Decay,
) -> torch.optim.Optimizer:
    """AdamW over theta.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101.
    """
    own = groups(theta, weight_decay=weight_decay, gate_decay=gate_decay, selected_decay=selected_decay)
    return AdamW(own, lr=lr, betas=(beta1, beta2), foreach=True)
