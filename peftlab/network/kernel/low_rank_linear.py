"""A frozen linear layer with low-rank deltas on slices of its output, as one matrix product."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from peftlab.backbone.plain import plain
from peftlab.network.kernel.thin import add_up, back_of, cross_of, hidden_of, merged

Grads = tuple[Tensor | None, ...]


class LowRankPart(NamedTuple):
    """y[rows] += scale * (B A x): q of a fused qkv has the first third of the rows."""

    rows: slice
    scale: Float[Tensor, "*d"]  # a scalar, or one value per row
    B: Float[Tensor, "d_out r"]
    A: Float[Tensor, "r d_in"]


class Source(NamedTuple):
    """output = make(read), a function of `read` alone, which `make` keeps for its own backward anyway."""

    make: Callable[[Tensor], Tensor]
    read: Tensor
    output: Tensor


def low_rank_linear(
    x: Float[Tensor, "*b d_in"],
    weight: Float[Tensor, "d_out d_in"],
    bias: Float[Tensor, " d_out"] | None,
    parts: list[LowRankPart],
    source: Source | None = None,
) -> Float[Tensor, "*b d_out"]:
    """y = (W + scale B A) x + b: the sum merged into W for the product, or two thin products beside it.

    Which of the two is a function of shapes alone (`merges`), so that a run can be repeated bit for bit. Backward forms
    only the gradients of x, A, B and scale, never that of the merged weight (unless W itself is trained). If a graph of
    backward is asked for, all of it is made of differentiable operations on the inputs, so second derivatives are right.
    If x is the output of `source`, it is not kept for backward but made again.

    Source: Hu et al. 2022, arXiv:2106.09685, section 4.1 (merging); Cherniuk et al. 2023 (RunLoRA), arXiv:2312.03415 (the
    graph by shape); the gradients follow from y = W x + s B (A x).
    """
    device = x.device.type
    is_cast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if is_cast else x.dtype
    flat = [tensor for part in parts for tensor in (part.scale, part.B, part.A)]
    is_trained = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *flat))
    merge = not is_trained or merges(x.numel() // weight.shape[1], *weight.shape)
    make = read = None
    if source is not None and x is source.output:
        make, read = partial(_again, source.make, device, dtype, is_cast), source.read
    how = _How([part.rows for part in parts], merge, make)
    return _LowRankLinear.apply(x.to(dtype), weight, bias, how, read, *flat)


def _again(
    make: Callable[[Tensor], Tensor], device: str, dtype: torch.dtype, is_cast: bool, read: Tensor
) -> Tensor:
    """What `make` gave in forward."""
    with torch.autocast(device, dtype, enabled=True) if is_cast else nullcontext():
        return make(read).to(dtype)


def merges(num_tokens: int, d_out: int, d_in: int) -> bool:
    """Whether W + s B A is cheaper than s B (A x) on the output and A^T (s B)^T g on the gradient of x.

    In entries written: d_out d_in against num_tokens (d_out + d_in), where one of the first takes about four times as
    long. The merged weight is made again in backward: kept, it would cost more memory than that costs time.
    """
    return num_tokens * (d_out + d_in) >= 4 * d_out * d_in


class _How(NamedTuple):
    """Of one product: the rows of its parts, whether W is merged, and what makes x again."""

    rows: Sequence[slice]
    merge: bool
    make: Callable[[Tensor], Tensor] | None


class _Stack(NamedTuple):
    """The parts of a layer as P equal ones that cover its outputs; others are one part with zeros between them."""

    up: Float[Tensor, "p d r"]  # scale B
    down: Float[Tensor, "pr d_in"]  # A

    @classmethod
    def of(cls, rows: Sequence[slice], flat: Sequence[Tensor], d_out: int) -> "_Stack":
        scales, Bs, As = flat[0::3], flat[1::3], flat[2::3]
        ups = [B * _per_row(scale) for scale, B in zip(scales, Bs, strict=True)]
        down = As[0] if len(As) == 1 else torch.cat(list(As))
        if is_even(rows, Bs, d_out):
            return cls(ups[0].unsqueeze(0) if len(ups) == 1 else torch.stack(ups), down)
        up, start = Bs[0].new_zeros(d_out, down.shape[0]), 0
        for part, own in zip(rows, ups, strict=True):
            up[part, start : start + own.shape[1]] = own
            start += own.shape[1]
        return cls(up.unsqueeze(0), down)

    def to(self, dtype: torch.dtype) -> "_Stack":
        return _Stack(self.up.to(dtype), self.down.to(dtype))


def is_even(rows: Sequence[slice], Bs: Sequence[Tensor], d_out: int) -> bool:
    """Whether the parts have one shape and cover the outputs in order."""
    size = Bs[0].shape[0]
    starts = [part.start for part in rows]
    return starts == list(range(0, d_out, size)) and all(B.shape == Bs[0].shape for B in Bs)


def _per_row(scale: Tensor) -> Tensor:
    return scale.unsqueeze(-1) if scale.ndim else scale


def _as_given(device: str) -> AbstractContextManager[Any]:
    """Inside, autocast changes no dtype."""
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


class _LowRankLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        how: _How,
        read: Tensor | None,
        *flat: Tensor,
    ) -> Tensor:
        stack = _Stack.of(how.rows, flat, weight.shape[0])
        with _as_given(x.device.type):
            used = merged(plain(weight), *stack) if how.merge else plain(weight)
            y = F.linear(x, used.to(x.dtype), None if bias is None else bias.to(x.dtype))
            hidden = None
            if not how.merge:
                thin = stack.to(x.dtype)
                hidden = hidden_of(thin.down, x.flatten(0, -2))
                add_up(y.view(-1, y.shape[-1]), hidden, thin.up)
        ctx.how = how
        ctx.save_for_backward(x if read is None else read, weight, hidden, *stack, *flat)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Grads:  # type: ignore[override]
        x, weight, hidden, *rest = ctx.saved_tensors
        rows, merge, make = ctx.how
        x = x if make is None else make(x)
        stack, flat = _Stack(*rest[:2]), rest[2:]
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        with _as_given(x.device.type):
            if torch.is_grad_enabled():  # a graph of this is wanted, so nothing that forward kept is of use
                stack, hidden, merge = _Stack.of(rows, flat, weight.shape[0]), None, True
            thin = stack.to(x.dtype)
            flat_x, flat_grad = x.flatten(0, -2), grad.flatten(0, -2)
            needs_A = any(ctx.needs_input_grad[7::3])
            back = back_of(thin.up, flat_grad) if needs_A or not merge else None
            slopes = (back @ flat_x).to(weight.dtype) if back is not None and needs_A else None
            cross = None
            if any(ctx.needs_input_grad[5::3]) or any(ctx.needs_input_grad[6::3]):
                hidden = hidden_of(thin.down, flat_x) if hidden is None else hidden
                cross = cross_of(hidden, flat_grad, len(thin.up)).to(weight.dtype)
            grads = _of_parts(rows, cross, slopes, flat, ctx.needs_input_grad[5:])
            grad_x = None
            if needs_x and merge:
                grad_x = grad @ merged(plain(weight), *stack).to(x.dtype)
            elif needs_x and back is not None:
                grad_x = (
                    (grad @ plain(weight).to(x.dtype)).flatten(0, -2).addmm_(back.T, thin.down).view_as(x)
                )
            grad_weight = (flat_grad.T @ flat_x).to(weight.dtype) if needs_weight else None
            grad_bias = flat_grad.sum(0).to(weight.dtype) if needs_bias else None
        return grad_x, grad_weight, grad_bias, None, None, *grads


def _of_parts(
    rows: Sequence[slice],
    cross: Tensor | None,
    slopes: Tensor | None,
    flat: Sequence[Tensor],
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of scale, B and A of each part, from those of all scale B [p, r, d] and all A [pr, d_in]."""
    scales, Bs, As = flat[0::3], flat[1::3], flat[2::3]
    ranks = [A.shape[0] for A in As]
    products: Sequence[Tensor] = ()
    if cross is not None and is_even(rows, Bs, cross.shape[0] * cross.shape[2]):
        products = cross.unbind()
    elif cross is not None:
        products = [own[:, part] for own, part in zip(cross[0].split(ranks), rows, strict=True)]
    own_slopes = () if slopes is None else slopes.split(ranks)
    grads: list[Tensor | None] = []
    for i, (scale, B) in enumerate(zip(scales, Bs, strict=True)):
        needs_scale, needs_B, needs_A = needs[3 * i : 3 * i + 3]
        of_scale = None
        if needs_scale:
            product = products[i].T * B  # the first factor is d loss / d (scale B)
            of_scale = product.sum(-1) if scale.ndim else product.sum()
        of_B = products[i].T * _per_row(scale) if needs_B else None
        grads += [of_scale, of_B, own_slopes[i] if needs_A else None]
    return grads
