"""The implicit hypergradient against the exact inverse Hessian, matrix powers and the unrolled one."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from peftlab.scaling.estimator.implicit import implicit
from peftlab.scaling.estimator.unrolled import unrolled


@pytest.mark.parametrize("num_terms", [1, 2, 5, 9])
def test_closed_form(quadratic, num_terms):
    q = quadratic
    M = np.eye(5) - q.lr * q.A
    inverse = q.lr * sum(np.linalg.matrix_power(M, k) for k in range(num_terms))
    estimate = implicit(q.inner_loss, q.outer_loss, q.theta(), q.gamma(), num_terms=num_terms, lr=q.lr)
    q.check(estimate.grad, q.g - q.e + q.B.T @ inverse @ (q.x - q.d))
    assert abs(float(estimate.outer_loss) - q.outer_value(q.x)) < 1e-12


def test_converges_to_the_implicit_function_theorem(quadratic):
    q, best = quadratic, quadratic.stationary()
    exact = q.g - q.e + q.B.T @ np.linalg.solve(q.A, best - q.d)
    errors = []
    for num_terms in (1, 10, 100, 400):
        arguments = (q.inner_loss, q.outer_loss, q.theta(best), q.gamma())
        grad = implicit(*arguments, num_terms=num_terms, lr=q.lr).grad
        answer = torch.cat([grad["q"].reshape(1), grad["v"]])
        errors.append(np.abs(answer.numpy() - exact).max())
    contraction = 1 - q.lr * np.linalg.eigvalsh(q.A)[0]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 10 * contraction**100
    assert errors[3] < 1e-12


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_equals_unrolled_at_a_stationary_point(network, steps):
    """Subtracting <slope, theta> makes the start stationary and leaves all second derivatives as they are."""
    start = {name: value.clone().requires_grad_() for name, value in network.theta.items()}
    slope = torch.autograd.grad(network.inner_loss(start, network.gamma, 0), list(start.values()))

    def inner(theta, gamma, t):
        tilt = sum((a * b).sum() for a, b in zip(slope, theta.values(), strict=True))
        return network.inner_loss(theta, gamma, 0) - tilt

    arguments = (inner, network.outer_loss, network.theta, network.gamma)
    series = implicit(*arguments, num_terms=steps, lr=0.1)
    steps_taken = unrolled(*arguments, num_steps=steps, lr=0.1)
    torch.testing.assert_close(series.grad, steps_taken.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(series.outer_loss, steps_taken.outer_loss, rtol=1e-12, atol=0)


def test_evaluates_the_inner_loss_once_at_batch_0(quadratic):
    """Dropout or augmentation inside the loss must not change between the Hessian products."""
    q, calls = quadratic, []

    def inner(theta, gamma, t):
        calls.append(t)
        return q.inner_loss(theta, gamma, t)

    implicit(inner, q.outer_loss, q.theta(), q.gamma(), num_terms=6, lr=q.lr)
    assert calls == [0]


def test_inner_loss_linear_in_theta(quadratic):
    """H = 0, so v = num_terms * lr * dL_out/dtheta; part of the inner gradient has no graph at all."""
    q = quadratic

    def inner(theta, gamma, t):
        return (theta["weight"] * gamma["q"]).sum() + theta["bias"].sum()

    estimate = implicit(inner, q.outer_loss, q.theta(), q.gamma(), num_terms=3, lr=0.1)
    expected = q.g - q.e
    expected[0] -= 0.3 * (q.x - q.d)[:4].sum()
    q.check(estimate.grad, expected)


def test_inner_losses_run_on_the_math_kernel(network, monkeypatch):
    """On the fused kernel the same call fails: it has no second derivative, on a CPU neither."""
    arguments = (network.inner_loss, network.outer_loss, network.theta, network.gamma)
    implicit(*arguments, num_terms=1, lr=0.1)
    fused = lambda: sdpa_kernel(SDPBackend.FLASH_ATTENTION)  # noqa: E731
    monkeypatch.setattr("peftlab.scaling.estimator.implicit.math_attention", fused)
    with pytest.raises(RuntimeError, match=r"scaled_dot_product.*not implemented"):
        implicit(*arguments, num_terms=1, lr=0.1)
