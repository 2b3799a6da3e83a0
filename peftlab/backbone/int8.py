"""backbone.quantise=int8: the linear layers of frozen blocks with eight bits a weight."""

import hashlib
import logging
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.digest import digest_of
from peftlab.backbone.plain import is_int8, plain
from peftlab.backbone.quantise import Quantise, check_quantise
from peftlab.inputs.unused import without_unused


def quantised(backbone: Backbone, quantise: Quantise) -> Backbone:
    """The same network, changed in place: every `nn.Linear` inside its blocks keeps a whole number from -127 to 127 for each weight
    and one scale for each row (symmetric, torchao's Int8WeightOnlyConfig), and multiplies by the product of both in fp32.

    What lies outside the blocks stays as it is: embeddings, patches, the last norm, projections, the output embedding. On the meta
    device, where there is nothing to round, layers are of this kind, too.

    Raises:
        UserError: if torchao is not installed.
    """
    check_quantise(quantise)
    if quantise is None:
        return backbone
    roots = tuple(f"{name}." for name in backbone.blocks)
    layers = {
        name: module
        for name, module in backbone.model.named_modules()
        if type(module) is nn.Linear and name.startswith(roots)
    }
    if backbone.hash == "meta":
        for module in layers.values():
            module.__class__ = Int8Linear
        return backbone
    quantize_, config = _torchao()
    quantize_(backbone.model, config, filter_fn=lambda module, name: name in layers)
    for module in layers.values():
        module.__class__ = Int8Linear
    # the pair of the old one, which knows tokenizers and activations, and of the numbers that are multiplied by now
    parts = f"{backbone.hash} {digest_of(backbone.model)}"
    return replace(backbone, hash=hashlib.sha256(parts.encode()).hexdigest())


class Int8Linear(nn.Linear):
    """A layer whose weight is in int8, unless a forward is given another in its place (`functional_call`)."""

    def forward(self, input: Float[Tensor, "*b d_in"]) -> Float[Tensor, "*b d_out"]:
        """W x + b."""
        if not is_int8(self.weight):
            return super().forward(input)
        y: Tensor = _Product.apply(input, self.weight, self.bias)
        return y


class _Product(torch.autograd.Function):
    """W x + b of a frozen weight, which backward makes anew: in fp32 nobody keeps it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return F.linear(x, plain(weight), bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (weight,) = ctx.saved_tensors
        needs_x, _, needs_bias = ctx.needs_input_grad
        grad_x = grad @ plain(weight).to(grad.dtype) if needs_x else None
        return grad_x, None, grad.flatten(0, -2).sum(0) if needs_bias else None


def _torchao() -> tuple[Any, Any]:
    """`quantize_`, and what it is told."""
    # torchao logs a line about an enum at its import
    logger = logging.getLogger("torch.utils._pytree")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with without_unused():
            from torchao.quantization import Int8WeightOnlyConfig, quantize_
    finally:
        logger.setLevel(level)
    return quantize_, Int8WeightOnlyConfig()
