"""Sites that act on the attention product: softmax(q k^T / sqrt d + mask) v inside an attention module."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Act = Callable[[Callable[[Tensor, Tensor, Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]


class AttentionProduct(TorchFunctionMode):
    """Inside, `act(attend, q, k, v)` takes the place of `F.scaled_dot_product_attention(q, k, v, ...)`.

    `attend` is that call with its mask, to which keys that are put in front add columns of zeros (or of true). Every
    attention of timm on which this is used calls that function, whatever it does to q and k before (norms, RoPE).
    """

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act = act

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        return self._product(*args, **(kwargs or {}))

    def _product(
        self, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, _widen(attn_mask, k.shape[-2]), *args, **kwargs)

        return self._act(attend, q, k, v)


def _widen(mask: Tensor | None, num_keys: int) -> Tensor | None:
    """The same mask with keys in front that every query may see."""
    if mask is None or mask.shape[-1] == num_keys:
        return mask
    new = mask.new_ones if mask.dtype == torch.bool else mask.new_zeros
    return torch.cat([new(*mask.shape[:-1], num_keys - mask.shape[-1]), mask], dim=-1)
