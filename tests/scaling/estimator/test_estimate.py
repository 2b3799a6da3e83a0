"""What all estimators promise: values in, values out."""

from functools import partial

import pytest
import torch

from peftlab.scaling.estimator.direct import direct
from peftlab.scaling.estimator.implicit import implicit
from peftlab.scaling.estimator.unrolled import unrolled

ESTIMATORS = {
    "direct": direct,
    "unrolled": partial(unrolled, num_steps=2, lr=0.1),
    "implicit": partial(implicit, num_terms=2, lr=0.1),
}
pytestmark = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS.keys())


@pytest.mark.parametrize("kind", ["plain", "leaf", "part of a graph"])
def test_inputs_are_left_alone(estimator, quadratic, kind):
    theta, gamma = quadratic.theta(), quadratic.gamma()
    values = [*theta.values(), *gamma.values()]
    if kind != "plain":
        values = [value.requires_grad_() for value in values]
        for value in values:
            value.grad = torch.full_like(value, 7.0)
    if kind == "part of a graph":
        theta = {name: value * 1 for name, value in theta.items()}
        gamma = {name: value * 1 for name, value in gamma.items()}
    before = [(value.detach().clone(), value._version, value.requires_grad) for value in values]

    estimate = estimator(quadratic.inner_loss, quadratic.outer_loss, theta, gamma)

    for value, (number, version, requires_grad) in zip(values, before, strict=True):
        assert torch.equal(value, number)
        assert (value._version, value.requires_grad) == (version, requires_grad)
        if kind == "plain":
            assert value.grad is None
        else:
            assert torch.equal(value.grad, torch.full_like(value, 7.0))
    for name, value in gamma.items():
        assert estimate.grad[name].shape == value.shape
        assert estimate.grad[name].dtype == value.dtype
    assert not any(tensor.requires_grad for tensor in (*estimate.grad.values(), estimate.outer_loss))


def test_the_same_answer_twice_and_under_no_grad(estimator, quadratic):
    arguments = (quadratic.inner_loss, quadratic.outer_loss, quadratic.theta(), quadratic.gamma())
    first = estimator(*arguments)
    with torch.no_grad():
        second = estimator(*arguments)
    assert all(torch.equal(first.grad[name], second.grad[name]) for name in first.grad)
    assert torch.equal(first.outer_loss, second.outer_loss)
    assert first.grad["q"].abs() > 1e-3


def test_losses_without_gamma_give_zeros(estimator, quadratic):
    def inner(theta, gamma, t):
        return theta["weight"].pow(4).sum()

    def outer(theta, gamma):
        return theta["weight"].sum()

    estimate = estimator(inner, outer, quadratic.theta(), quadratic.gamma())
    for name, value in quadratic.gamma().items():
        assert torch.equal(estimate.grad[name], torch.zeros_like(value))


def test_constant_losses_give_zeros(estimator, quadratic):
    one = torch.ones(())
    losses = (lambda theta, gamma, t: one, lambda theta, gamma: one)
    estimate = estimator(*losses, quadratic.theta(), quadratic.gamma())
    assert all(not value.any() for value in estimate.grad.values())
    assert float(estimate.outer_loss) == 1
