"""Hypergradient through a few steps of gradient descent."""

from typing import Annotated

import torch

from peftlab.option import LearningRate, Range
from peftlab.scaling.estimator.estimate import Estimate, InnerLoss, OuterLoss, Values
from peftlab.scaling.estimator.gradient import gradient, leaves
from peftlab.scaling.estimator.math_attention import math_attention, second_order


@second_order
@torch.enable_grad()
def unrolled(
    inner_loss: InnerLoss,
    outer_loss: OuterLoss,
    theta: Values,
    gamma: Values,
    *,
    num_steps: Annotated[int, Range(1, 1000)],
    lr: LearningRate,
) -> Estimate:
    """The total derivative of the outer loss after `num_steps` steps that depend on gamma.

        theta_0 = theta,  theta_{t+1} = theta_t - lr * dL_in(theta_t, gamma, t) / dtheta
        grad = d L_out(theta_T(gamma), gamma) / dgamma,  T = num_steps

    The inner losses run on the math attention kernel: fused attention has no second derivative. The
    outer loss is differentiated once and keeps the fast kernel; the answer holds its value at
    theta_T. Memory grows by one differentiable inner step per step.

    Source: Maclaurin et al. 2015, arXiv:1502.03492; Franceschi et al. 2017, arXiv:1703.01785, reverse-mode.
    Differs: plain SGD without momentum or weight decay; all states are stored, none is recomputed.
    """
    theta, gamma = leaves(theta), leaves(gamma)
    for t in range(num_steps):
        with math_attention():
            loss = inner_loss(theta, gamma, t)
            slopes = gradient([loss], list(theta.values()), create_graph=True)
        theta = {name: theta[name] - lr * slope for name, slope in zip(theta, slopes, strict=True)}
    loss = outer_loss(theta, gamma)
    grads = gradient([loss], list(gamma.values()))
    return Estimate(dict(zip(gamma, grads, strict=True)), loss.detach())
