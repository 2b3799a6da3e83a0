"""Hypergradient by the implicit function theorem, with a truncated Neumann series for the inverse Hessian."""

from typing import Annotated

import torch
from torch import Tensor

from peftlab.option import LearningRate, Range
from peftlab.scaling.estimator.estimate import Estimate, InnerLoss, OuterLoss, Values
from peftlab.scaling.estimator.gradient import gradient, leaves
from peftlab.scaling.estimator.math_attention import math_attention, second_order


@second_order
@torch.enable_grad()
def implicit(
    inner_loss: InnerLoss,
    outer_loss: OuterLoss,
    theta: Values,
    gamma: Values,
    *,
    num_terms: Annotated[int, Range(1, 1000)],
    lr: LearningRate,
) -> Estimate:
    """The total derivative of the outer loss as if theta were a stationary point of the inner loss.

        v = lr * sum_{k=0}^{num_terms - 1} (I - lr H)^k dL_out/dtheta,  H = d2L_in/dtheta2
        grad = dL_out/dgamma - v^T d2L_in / (dtheta dgamma)

    `num_terms` counts the summands: one costs no Hessian product, each further one costs one. v
    tends to H^-1 dL_out/dtheta for H positive definite and lr < 2 / (its largest eigenvalue). At a
    stationary point the answer is that of `unrolled` with `num_steps = num_terms`, same lr, one
    batch. The inner loss is evaluated once, at t = 0, on the math attention kernel: fused attention
    has no second derivative.

    Source: Lorraine et al. 2020, arXiv:1911.02590, alg. 2 and 3.
    Differs: alg. 3 counts i = num_terms - 1 iterations.
    """
    theta, gamma = leaves(theta), leaves(gamma)
    loss = outer_loss(theta, gamma)
    slopes = gradient([loss], [*theta.values(), *gamma.values()])
    along_theta, along_gamma = slopes[: len(theta)], slopes[len(theta) :]
    with math_attention():
        inner = inner_loss(theta, gamma, 0)
        residual = gradient([inner], list(theta.values()), create_graph=True)
        v = neumann(residual, list(theta.values()), along_theta, num_terms=num_terms, lr=lr)
        mixed = gradient(residual, list(gamma.values()), v)
    grads = [slope - product for slope, product in zip(along_gamma, mixed, strict=True)]
    return Estimate(dict(zip(gamma, grads, strict=True)), loss.detach())


def neumann(
    residual: list[Tensor], theta: list[Tensor], vector: list[Tensor], *, num_terms: int, lr: float
) -> list[Tensor]:
    """lr * sum_{k < num_terms} (I - lr H)^k vector, H the Jacobian of `residual`, whose graph is kept."""
    term, total = vector, vector
    for _ in range(num_terms - 1):
        product = gradient(residual, theta, term, retain_graph=True)
        term = [a - lr * b for a, b in zip(term, product, strict=True)]
        total = [a + b for a, b in zip(total, term, strict=True)]
    return [lr * value for value in total]
