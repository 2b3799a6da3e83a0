"""In which precision a forward multiplies."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from peftlab.fit.plan import Plan

Context = Callable[[], AbstractContextManager[None]]

FEW_KEYS = 256


def autocast(plan: Plan, device: torch.device) -> Context:
    """bf16 for the products of the forward pass, or nothing; weights, deltas, gamma and head stay fp32."""
    if plan.precision == "fp32":
        return nullcontext
    if device.type == "cpu":
        return _on_a_cpu
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def _on_a_cpu() -> Iterator[None]:
    with torch.autocast("cpu", dtype=torch.bfloat16), _Cheaper():
        yield


class _Cheaper(TorchFunctionMode):
    """What autocast makes dear on a CPU: rounded weights of frozen layers, and attention over few keys."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.linear and not torch.compiler.is_compiling():
            return _linear(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            return _attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


_rounded = WeakTensorKeyDictionary()


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """With a frozen weight that is rounded once, where autocast rounds it for each product: the same bits."""
    if not isinstance(weight, nn.Parameter) or weight.requires_grad:
        return F.linear(x, weight, bias)
    state = (weight.data_ptr(), weight._version)
    known, value = _rounded.get(weight, (None, weight))
    if known != state:
        value = weight.bfloat16()
        _rounded[weight] = state, value
    return F.linear(x, value, bias)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, *args: Any, **kwargs: Any
) -> Tensor:
    """In fp32 over fewer than `FEW_KEYS` keys: there torch's fused kernel for bf16 takes up to six times as long."""
    if k.shape[-2] >= FEW_KEYS:
        return F.scaled_dot_product_attention(q, k, v, attn_mask, *args, **kwargs)
    if attn_mask is not None and attn_mask.is_floating_point():
        attn_mask = attn_mask.float()
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask, *args, **kwargs)
