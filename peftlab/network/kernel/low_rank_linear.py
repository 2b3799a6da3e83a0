"""A frozen linear layer with low-rank deltas on slices of its output, as one matrix product."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


class LowRankPart(NamedTuple):
    """y[rows] += scale * (B A x): q of a fused qkv has the first third of the rows."""

    rows: slice
    scale: Float[Tensor, "*d"]  # a scalar, or one value per row
    B: Float[Tensor, "d_out r"]
    A: Float[Tensor, "r d_in"]


def low_rank_linear(
    x: Float[Tensor, "*b d_in"],
    weight: Float[Tensor, "d_out d_in"],
    bias: Float[Tensor, " d_out"] | None,
    parts: list[LowRankPart],
) -> Float[Tensor, "*b d_out"]:
    """y = (W + scale B A) x + b, the sum merged into W for the product.

    Forward costs one product and r d_in d_out for the merge, whatever the batch. Backward forms only the gradients of
    x, A, B and scale, never that of the merged weight (unless W itself is trained). All of backward is made of
    differentiable operations on the inputs, so second derivatives are right too.

    Source: Hu et al. 2022, arXiv:2106.09685, section 4.1 (merging); the gradients follow from y = W x + s B (A x).
    """
    dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    flat = [tensor for part in parts for tensor in (part.scale, part.B, part.A)]
    return _LowRankLinear.apply(x.to(dtype), weight, bias, [part.rows for part in parts], *flat)


def _merge(weight: Tensor, rows: list[slice], flat: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    """W + scale B A in fp32, then in `dtype`."""
    merged = weight.clone()
    for i, part in enumerate(rows):
        scale, B, A = flat[3 * i : 3 * i + 3]
        merged[part] += (B * _per_row(scale)) @ A
    return merged.to(dtype)


def _per_row(scale: Tensor) -> Tensor:
    return scale.unsqueeze(-1) if scale.ndim else scale


class _LowRankLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, rows: list[slice], *flat: Tensor
    ) -> Tensor:
        ctx.rows = rows
        ctx.save_for_backward(x, weight, *flat)
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(
                x, _merge(weight, rows, flat, x.dtype), None if bias is None else bias.to(x.dtype)
            )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, *flat = ctx.saved_tensors
        scales, Bs, As = flat[0::3], flat[1::3], flat[2::3]
        flat_x, flat_grad = x.flatten(0, -2), grad.flatten(0, -2)
        ranks = [A.shape[0] for A in As]
        grads: list[Tensor | None] = []
        with torch.autocast(x.device.type, enabled=False):
            # the thin side comes first in every product: [r, n] @ [n, d] is up to 7 times as fast as its transpose
            hidden = (torch.cat(As).to(x.dtype) @ flat_x.T).split(ranks)  # A x: [r, n] per part
            pieces = [flat_grad[:, part] for part in ctx.rows]
            back = [
                (B * _per_row(scale)).T.to(x.dtype) @ piece.T
                for scale, B, piece in zip(scales, Bs, pieces, strict=True)
            ]
            slopes = (torch.cat(back) @ flat_x).to(weight.dtype).split(ranks)  # of every A
            for i, (scale, B, piece) in enumerate(zip(scales, Bs, pieces, strict=True)):
                product = (hidden[i] @ piece).T.to(B.dtype)  # d loss / d (scale B)
                of_scale = None
                if ctx.needs_input_grad[4 + 3 * i]:
                    of_scale = (product * B).sum(-1) if scale.ndim else (product * B).sum()
                grads += [of_scale, product * _per_row(scale), slopes[i]]
            needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
            grad_x = grad @ _merge(weight, ctx.rows, tuple(flat), x.dtype) if needs_x else None
            grad_weight = (flat_grad.T @ flat_x).to(weight.dtype) if needs_weight else None
            grad_bias = flat_grad.sum(0).to(weight.dtype) if needs_bias else None
        return grad_x, grad_weight, grad_bias, None, *grads
