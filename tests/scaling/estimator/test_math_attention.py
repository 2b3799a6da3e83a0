"""Which attention kernel has a second derivative, and which estimators ask for it."""

import pytest
import torch
import torch.nn.functional as F

from peftlab.option import Choice
from peftlab.scaling.estimator.direct import direct
from peftlab.scaling.estimator.implicit import implicit
from peftlab.scaling.estimator.math_attention import attention_kernel, math_attention
from peftlab.scaling.estimator.unrolled import unrolled


def curvature(query):
    output = F.scaled_dot_product_attention(query, query, query)
    (slope,) = torch.autograd.grad(output.square().sum(), query, create_graph=True)
    return torch.autograd.grad(slope.square().sum(), query)[0]


def test_double_backward_fails_on_the_default_kernel_and_works_on_the_math_kernel():
    """If torch ever learns the second derivative, the first half fails and the math kernel can go."""
    query = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"scaled_dot_product.*not implemented"):
        curvature(query)
    with math_attention():
        assert curvature(query).isfinite().all()


def test_math_kernel_gives_the_same_numbers_and_true_second_derivatives():
    query = torch.randn(1, 1, 3, 2, dtype=torch.float64, requires_grad=True)
    fused = F.scaled_dot_product_attention(query, query, query)
    with math_attention():
        plain = F.scaled_dot_product_attention(query, query, query)
        torch.testing.assert_close(plain, fused, rtol=1e-12, atol=1e-14)
        assert torch.autograd.gradgradcheck(lambda q: F.scaled_dot_product_attention(q, q, q), query)


def test_kernel_for_the_log():
    assert attention_kernel(direct) == "default"
    assert attention_kernel(unrolled) == "math"
    assert attention_kernel(implicit) == "math"
    for word, kernel in (("direct", "default"), ("unrolled", "math"), ("implicit", "math")):
        chosen = Choice(f"peftlab.scaling.estimator.{word}.{word}", {"lr": 0.1})
        assert attention_kernel(chosen) == kernel, "with its options, as a config chooses it"
