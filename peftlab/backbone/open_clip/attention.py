"""open_clip's blocks with every layer of their attention called: the same function of the same weights."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.backbone.hf.layout import linear


class SelfAttention(nn.Module):
    """What `nn.MultiheadAttention` computes of one sequence, by layers that are called: q, k and v in one, and the output layer.

    torch's own module multiplies by its weights in one function, past its `out_proj`.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.qkv = linear(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = linear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self, query: Tensor, *unused: Tensor, attn_mask: Tensor | None = None, need_weights: bool = False
    ) -> tuple[Tensor, None]:
        """`[b, t, c]` to `[b, t, c]`; `attn_mask`, which is added to the scores, fits `[b, h, t, t]`. Key and value are the query."""
        q, k, v = self.qkv(query).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask)
        return self.out_proj(heads.transpose(1, 2).flatten(2)), None


def arrange(transformer: nn.Module) -> None:
    """Put such an attention into every block of open_clip's `Transformer`, with the same numbers."""
    for block in transformer.get_submodule("resblocks").children():
        attention: Any = block.get_submodule("attn")
        with torch.no_grad():
            block.add_module("attn", SelfAttention(attention))
