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

    `attend` is that call with its mask, in which every query sees the keys that are put in front: to a mask they add columns
    of zeros (or of true), and a causal one hides from a token the tokens behind it and nothing else. Every
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
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **more: Any,
    ) -> Tensor:
        num_keys = k.shape[-2]

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            num_front = k.shape[-2] - num_keys
            mask = attn_mask
            if is_causal and num_front:  # torch aligns its causal mask top left, where the new keys now stand
                mask = torch.ones(q.shape[-2], num_keys, dtype=torch.bool, device=q.device).tril()
            mask = _widen(mask, num_front)
            own = is_causal and not num_front
            return F.scaled_dot_product_attention(q, k, v, mask, dropout_p, own, **more)

        return self._act(attend, q, k, v)


def _widen(mask: Tensor | None, num_front: int) -> Tensor | None:
    """The same mask with keys in front that every query may see."""
    if mask is None or not num_front:
        return mask
    new = mask.new_ones if mask.dtype == torch.bool else mask.new_zeros
    return torch.cat([new(*mask.shape[:-1], num_front), mask], dim=-1)
