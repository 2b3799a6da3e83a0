"""The attention temperature against softmax(q k^T / (sqrt d tau)) v."""

import math

import pytest
import torch
from torch.nn import functional as F

from peftlab.peft.temperature import Temperature
from peftlab.peft.view import View


def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


@pytest.mark.parametrize(("tau", "used"), [(0.5, 0.5), (3.0, 3.0), (20.0, 10.0), (-1.0, 0.01)])
def test_equation_and_limits(tau, used):
    delta = Temperature(View(8, 6), torch.Generator(), low=0.01, high=10.0)
    delta.tau.data.fill_(tau)
    q, k, v = (torch.randn(2, 2, 5, 3) for _ in range(3))
    weights = torch.softmax(q @ k.transpose(-1, -2) / (math.sqrt(3) * used), -1)
    torch.testing.assert_close(delta(attend, q, k, v, None, None), weights @ v)


def test_start_is_the_identity_and_the_gradient_passes_the_limit():
    delta = Temperature(View(8, 6), torch.Generator(), low=0.01, high=10.0)
    qkv = [torch.randn(2, 2, 5, 3) for _ in range(3)]
    assert torch.equal(delta(attend, *qkv, None, None), attend(*qkv))
    delta.tau.data.fill_(20.0)
    delta(attend, *qkv, None, None).square().sum().backward()
    assert delta.tau.grad != 0, "a temperature at its limit could not come back"
