"""First-order hypergradient: theta is held fixed."""

import torch

from peftlab.scaling.estimator.estimate import Estimate, InnerLoss, OuterLoss, Values
from peftlab.scaling.estimator.gradient import gradient, leaves


@torch.enable_grad()
def direct(inner_loss: InnerLoss, outer_loss: OuterLoss, theta: Values, gamma: Values) -> Estimate:
    """The partial derivative of the outer loss: gamma's path through theta is left out.

        grad = dL_out(theta, gamma) / dgamma

    One forward and one backward pass on whatever attention kernel is fastest; `inner_loss` is never called.

    Source: Tian et al. 2025 (MetaPEFT, CVPR), first-order outer step.
    """
    theta = {name: value.detach() for name, value in theta.items()}
    gamma = leaves(gamma)
    loss = outer_loss(theta, gamma)
    grads = gradient([loss], list(gamma.values()))
    return Estimate(dict(zip(gamma, grads, strict=True)), loss.detach())
