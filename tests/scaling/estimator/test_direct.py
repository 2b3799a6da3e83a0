"""The first-order hypergradient against a closed form and finite differences."""

import torch

from peftlab.scaling.estimator.direct import direct


def test_closed_form(quadratic):
    estimate = direct(quadratic.inner_loss, quadratic.outer_loss, quadratic.theta(), quadratic.gamma())
    quadratic.check(estimate.grad, quadratic.g - quadratic.e)
    assert abs(float(estimate.outer_loss) - quadratic.outer_value(quadratic.x)) < 1e-12


def test_finite_difference(network, finite_difference):
    estimate = direct(network.inner_loss, network.outer_loss, network.theta, network.gamma)
    expected = finite_difference(lambda gamma: float(network.outer_loss(network.theta, gamma)), network.gamma)
    torch.testing.assert_close(estimate.grad, expected, rtol=1e-6, atol=1e-9)
    assert all(value.abs() > 1e-6 for value in expected.values())


def test_does_not_touch_the_inner_loss(network):
    def never(*arguments):
        raise AssertionError("the inner loss was called")

    assert direct(never, network.outer_loss, network.theta, network.gamma).grad.keys() == network.gamma.keys()
