"""optim=adamw: Adam with decoupled weight decay."""

import torch

from peftlab.errors import UserError
from peftlab.optim.groups import Theta, groups
from peftlab.option import Fraction, NonNegativeFloat, PositiveFloat


def adamw(
    theta: Theta,
    *,
    lr: PositiveFloat,
    beta1: Fraction,
    beta2: Fraction,
    weight_decay: NonNegativeFloat,
    gate_decay: NonNegativeFloat,
    selected_decay: NonNegativeFloat,
) -> torch.optim.Optimizer:
    """AdamW over theta.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101.

    Raises:
        UserError: for a beta of 1, which would never forget its start at 0.
    """
    if 1 in (beta1, beta2):
        raise UserError(
            f"optim.beta1={beta1} and optim.beta2={beta2}: a beta of 1 takes no step; legal: from 0 to below 1"
        )
    own = groups(theta, weight_decay=weight_decay, gate_decay=gate_decay, selected_decay=selected_decay)
    return torch.optim.AdamW(own, lr=lr, betas=(beta1, beta2))
