"""Which tokens are padding or answers, and the attention mask that says which see which: its rows follow the batch's, its
sides the tokens.

A mask of attention has four axes, `[b, 1, q, k]`. Where a batch has one row, or the mask one for all, it needs no change.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def each(values: Any, change: Any) -> Any:
    """Positional or named arguments with `change` made to those that are masks."""
    if isinstance(values, dict):
        return {key: change(value) if _is_mask(value) else value for key, value in values.items()}
    return tuple(change(value) if _is_mask(value) else value for value in values)


def times(mask: Float[Tensor, "b 1 q k"] | Bool[Tensor, "b 1 q k"], count: int) -> Tensor:
    """The batch so many times, one behind the other."""
    return mask if count == 1 or len(mask) == 1 else mask.repeat(count, 1, 1, 1)


def rows(mask: Tensor, start: int, stop: int) -> Tensor:
    """Some of the batch's rows."""
    return mask if len(mask) == 1 else mask[start:stop]


def with_room(mask: Tensor, start: int, count: int, is_causal: bool = False) -> Tensor:
    """For `count` more tokens behind the first `start`: all see them, and they see what the token before them sees.

    In a causal mask they come first, and each sees itself and those before it.
    """
    new = mask.new_ones if mask.dtype == torch.bool else mask.new_zeros
    columns = new(*mask.shape[:-1], count)
    wide = torch.cat([mask[..., :start], columns, mask[..., start:]], dim=-1)
    if mask.shape[-2] == 1:
        return wide
    if is_causal:
        own = torch.ones(count, wide.shape[-1], dtype=torch.bool, device=mask.device).tril()
        if mask.dtype != torch.bool:
            own = mask.new_zeros(own.shape).masked_fill(~own, torch.finfo(mask.dtype).min)
        return torch.cat([own.expand(*wide.shape[:-2], *own.shape), wide], dim=-2)
    before = max(start - 1, 0)
    own = wide[..., before : before + 1, :].expand(*wide.shape[:-2], count, wide.shape[-1])
    return torch.cat([wide[..., :start, :], own, wide[..., start:, :]], dim=-2)


def tokens_of(mask: Int[Tensor, "b t"] | None, read: Tensor, start: int) -> Tensor | None:
    """Which tokens of `read` count: the padding does not, prompts behind the first `start` tokens do. None is all."""
    if mask is None or read.ndim != 3:
        return None
    count = read.shape[1] - mask.shape[1]
    if not count:
        return mask
    return torch.cat([mask[:, :start], mask.new_ones(len(mask), count), mask[:, start:]], dim=1)


def without_padding(value: Tensor, present: Int[Tensor, "b t"] | None, start: int) -> Tensor:
    """The rows of `value` that belong to tokens that are `present`; of texts, one row behind the other, or head by head.

    With prompts behind the first `start` tokens; what is no token's own is left as it is.
    """
    if present is None or present.is_meta:
        return value
    if value.ndim == 2 and value.shape[0] % len(present) == 0:
        value = value.unflatten(0, (len(present), -1))
    if value.ndim == 4:
        value = value.transpose(1, 2).flatten(2)
    if value.ndim != 3 or len(value) != len(present) or value.shape[1] < present.shape[1]:
        return value
    tokens = tokens_of(present, value, start)
    return value if tokens is None else value[tokens.bool()]


def _is_mask(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4
