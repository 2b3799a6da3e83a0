"""Linear layers in the layout of the rest of the house: weight [d_out, d_in], and q, k and v one behind the other.

GPT-2 keeps weights as [d_in, d_out], GPT-NeoX the q, k and v of a head beside each other, and Mamba multiplies by the weight of
a layer that it does not call. What a network computes stays.
"""

from typing import Any

import torch
from torch import Tensor, nn

Named = dict[str, Tensor]


class PerHead(nn.Module):
    """A layer `fused` that gives q, k and v of all heads, and what follows it expects them head by head."""

    def __init__(self, fused: nn.Linear, num_heads: int) -> None:
        super().__init__()
        self.fused = linear(_split(fused.weight, num_heads), _split(fused.bias, num_heads))
        self.num_heads = num_heads

    def forward(self, x: Tensor) -> Tensor:
        """`[..., d_in]` to `[..., heads * 3 * d_h]`."""
        return self.fused(x).unflatten(-1, (3, self.num_heads, -1)).transpose(-3, -2).flatten(-3)


class TimeStep(nn.Module):
    """A layer `linear` that is called where somebody multiplies by this module's weight; the bias is added behind it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.linear = linear(layer.weight, None)
        self.bias = layer.bias

    @property
    def weight(self) -> "_Left":
        """What stands before an `@`."""
        return _Left(self.linear)


class _Left:
    """`left @ x` is `linear` of each column of x."""

    def __init__(self, linear: nn.Linear) -> None:
        self._linear = linear

    def __matmul__(self, x: Tensor) -> Tensor:
        """`[b, d_in, t]` to `[b, d_out, t]`."""
        y: Tensor = self._linear(x.transpose(1, 2))
        return y.transpose(1, 2)


class ScaledLinear(nn.Linear):
    """A layer of `scale` times what it is given."""

    scale: float

    def forward(self, input: Tensor) -> Tensor:
        """`[..., d_in]` to `[..., d_out]`."""
        return super().forward(input * self.scale)


def scaled(unembedding: nn.Linear, config: Any) -> nn.Linear:
    """The output embedding, which T5 gives features divided by sqrt d; the weight is the same one."""
    if not getattr(config, "scale_decoder_outputs", False):
        return unembedding
    with torch.device("meta"):
        layer = ScaledLinear(unembedding.in_features, unembedding.out_features, bias=False)
    layer.weight, layer.scale = unembedding.weight, unembedding.in_features**-0.5
    return layer


def arrange(model: nn.Module) -> None:
    """Put layers of this layout in the place of those of another, with the same numbers."""
    config: Any = model.config
    for name, layer in list(model.named_modules()):
        parent, _, own = name.rpartition(".")
        if type(layer).__name__ == "Conv1D":
            setattr(model.get_submodule(parent), own, linear(layer.weight.T, layer.bias))
        elif own == "query_key_value":
            assert isinstance(layer, nn.Linear)
            setattr(model.get_submodule(parent), own, PerHead(layer, config.num_attention_heads))
        elif own == "dt_proj":
            assert isinstance(layer, nn.Linear)
            setattr(model.get_submodule(parent), own, TimeStep(layer))


def published(model: nn.Module, state: Named) -> Named:
    """Weights of an arranged model under the names and in the layout of transformers; `arrange` reversed."""
    config: Any = model.config
    transposed = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight") if config.model_type == "gpt2" else ()
    found = {}
    for name, value in state.items():
        if ".query_key_value.fused." in name:
            by_head = value.unflatten(0, (3, config.num_attention_heads, -1)).transpose(0, 1)
            value = by_head.flatten(0, 2).contiguous()
            name = name.replace(".fused.", ".")
        name = name.replace(".dt_proj.linear.", ".dt_proj.")
        found[name] = value.T.contiguous() if transposed and name.endswith(transposed) else value
    return found


def _split(value: Tensor | None, num_heads: int) -> Tensor | None:
    """Rows by head and then by q, k and v, as rows by q, k and v and then by head."""
    if value is None:
        return None
    return value.unflatten(0, (num_heads, 3, -1)).transpose(0, 1).flatten(0, 2)


def linear(weight: Tensor | None, bias: Tensor | None) -> nn.Linear:
    """A layer of these numbers, weight `[d_out, d_in]`."""
    assert weight is not None
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach().contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().contiguous())
    return layer
