"""A frozen linear layer with low-rank deltas on slices of its output, as one matrix product."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


class LowRank(NamedTuple):
    """y[rows] += scale * (B A x): q of a fused qkv has the first third of the rows."""

    rows: slice
    scale: Float[Tensor, "*d"]  # a scalar, or one value per row
    B: Float[Tensor, "d_out r"]
    A: Float[Tensor, "r d_in"]


def low_rank_linear(
    x: Float[Tensor, "*b d_in"],
    weight: Float[Tensor, "d_out d_in"],
    bias: Float[Tensor, " d_out"] | None,
    parts: list[LowRank],
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
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, rows: list[slice], *flat: Tensor) -> Tensor:
        ctx.rows = rows
        ctx.save_for_backward(x, weight, *flat)
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x, _merge(weight, rows, flat, x.dtype), None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, *flat = ctx.saved_tensors
        grads: list[Tensor | None] = []
        flat_x, flat_grad = x.flatten(0, -2), grad.flatten(0, -2)
        with torch.autocast(x.device.type, enabled=False):
            hidden = flat_x @ torch.cat(flat[2::3]).to(x.dtype).T  # A x of all parts at once: [n, sum r]
            start, reduced = 0, []
            for i, part in enumerate(ctx.rows):
                scale, B, A = flat[3 * i : 3 * i + 3]
                stop = start + A.shape[0]
                product = (flat_grad[:, part].T @ hidden[:, start:stop]).to(B.dtype)  # d loss / d (scale B)
                along_row = (product * B).sum(-1)
                needs = ctx.needs_input_grad[4 + 3 * i]
                grads += [(along_row if scale.ndim else along_row.sum()) if needs else None, product * _per_row(scale)]
                grads.append(None)  # A's, filled below
                reduced.append(flat_grad[:, part] @ (B * _per_row(scale)).to(x.dtype))
                start = stop
            slopes = (torch.cat(reduced, dim=1).T @ flat_x).to(flat[2].dtype).split([A.shape[0] for A in flat[2::3]])
            grads[2::3] = slopes
            grad_x = None
            if ctx.needs_input_grad[0]:
                grad_x = grad @ _merge(weight, ctx.rows, tuple(flat), x.dtype)
            grad_weight = (flat_grad.T @ flat_x).to(weight.dtype) if ctx.needs_input_grad[1] else None
            grad_bias = flat_grad.sum(0) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, None, *grads
