"""The unrolled hypergradient against matrix powers and finite differences."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from peftlab.scaling.estimator.direct import direct
from peftlab.scaling.estimator.unrolled import unrolled


@pytest.mark.parametrize("num_steps", [1, 2, 5, 9])
def test_closed_form(quadratic, num_steps):
    q, power = quadratic, np.linalg.matrix_power
    M = np.eye(5) - q.lr * q.A
    last = power(M, num_steps) @ q.x
    for t in range(num_steps):  # batch t is met at step t: its c_t is damped by the steps that follow
        last = last + q.lr * power(M, num_steps - 1 - t) @ (q.B @ q.g + q.c[t])
    jacobian = q.lr * sum(power(M, k) for k in range(num_steps)) @ q.B

    estimate = unrolled(q.inner_loss, q.outer_loss, q.theta(), q.gamma(), num_steps=num_steps, lr=q.lr)

    q.check(estimate.grad, q.g - q.e + jacobian.T @ (last - q.d))
    assert abs(float(estimate.outer_loss) - q.outer_value(last)) < 1e-12


def descend(network, gamma, *, num_steps, lr):
    """torch.optim.SGD with first derivatives only, on the attention kernel that torch picks."""
    theta = {name: value.clone().requires_grad_() for name, value in network.theta.items()}
    for t in range(num_steps):
        optimizer = torch.optim.SGD(theta.values(), lr=lr)
        optimizer.zero_grad()
        network.inner_loss(theta, gamma, t).backward()
        optimizer.step()
    return float(network.outer_loss(theta, gamma).detach())


def test_finite_difference(network, finite_difference):
    options = {"num_steps": 3, "lr": 0.1}
    estimate = unrolled(network.inner_loss, network.outer_loss, network.theta, network.gamma, **options)
    expected = finite_difference(lambda gamma: descend(network, gamma, **options), network.gamma)
    torch.testing.assert_close(estimate.grad, expected, rtol=1e-6, atol=1e-9)

    first_order = direct(network.inner_loss, network.outer_loss, network.theta, network.gamma).grad
    gaps = [abs(first_order[name] / expected[name] - 1) for name in expected]
    assert max(gaps) > 0.05  # the path through theta is no small matter here


def test_inner_losses_run_on_the_math_kernel(network, monkeypatch):
    """On the fused kernel the same call fails: it has no second derivative, on a CPU neither."""
    arguments = (network.inner_loss, network.outer_loss, network.theta, network.gamma)
    unrolled(*arguments, num_steps=1, lr=0.1)
    fused = lambda: sdpa_kernel(SDPBackend.FLASH_ATTENTION)  # noqa: E731
    monkeypatch.setattr("peftlab.scaling.estimator.unrolled.math_attention", fused)
    with pytest.raises(RuntimeError, match=r"scaled_dot_product.*not implemented"):
        unrolled(*arguments, num_steps=1, lr=0.1)


def test_inner_loss_without_gamma_leaves_the_direct_part(quadratic):
    def inner(theta, gamma, t):
        return theta["weight"].square().sum()

    q = quadratic
    estimate = unrolled(inner, q.outer_loss, q.theta(), q.gamma(), num_steps=2, lr=0.1)
    q.check(estimate.grad, q.g - q.e)
    expected = q.x * np.array([0.64] * 4 + [1.0])  # (1 - 2 lr)^2 where the inner loss acts, nothing elsewhere
    assert abs(float(estimate.outer_loss) - q.outer_value(expected)) < 1e-12
