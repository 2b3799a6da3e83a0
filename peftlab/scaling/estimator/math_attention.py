"""Fused attention has no second derivative: inner losses that need one run on the math kernel."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeVar

from torch.nn.attention import SDPBackend, sdpa_kernel

Estimator = TypeVar("Estimator", bound=Callable[..., Any])


def math_attention() -> AbstractContextManager[None]:
    """Inside, `scaled_dot_product_attention` is softmax(q k^T / sqrt d) v in twice differentiable operations.

    Costs the memory of the attention map. Without it the second derivative raises "derivative for
    aten::_scaled_dot_product_..._backward is not implemented", on a CPU too (pytorch issue 116350).
    """
    return sdpa_kernel(SDPBackend.MATH)


def second_order(estimator: Estimator) -> Estimator:
    """Marks an estimator that differentiates the inner loss twice, inside `math_attention()`."""
    estimator.attention_kernel = "math"  # type: ignore[attr-defined]
    return estimator


def attention_kernel(estimator: Callable[..., Any]) -> Literal["math", "default"]:
    """Which attention kernel the estimator's inner losses run on, for the log. A `Choice` is looked into."""
    function = getattr(estimator, "function", estimator)
    return "math" if getattr(function, "attention_kernel", None) == "math" else "default"
