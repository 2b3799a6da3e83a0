"""The two towers of a CLIP of open_clip, each a backbone of its own whose features are the joint embedding, not normalised."""

import hashlib
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, only_input
from peftlab.backbone.digest import digest_of
from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.table import before_norms, hf_table
from peftlab.backbone.open_clip.attention import arrange
from peftlab.backbone.timm.table import timm_table
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.inputs.text import TextSpec

# x <- x + ls_1(attn(ln_1(x))), x <- x + ls_2(mlp(ln_2(x)))
BLOCKS = Family(
    module="open_clip.transformer",
    config="",
    model="",
    prefix="",
    blocks="transformer.resblocks",
    linear={"out": "attn.out_proj", "mlp1": "mlp.c_fc", "mlp2": "mlp.c_proj"},
    fused="attn.qkv",
    product="attn",
    attn=("attn", "ls_1"),
    ffn=("mlp", "ls_2"),
    act="mlp.gelu",
    norm1="ln_1",
    norm2="ln_2",
    norm_first=True,
)


def image_tower(visual: Any, name: str, spec: InputSpec, num_features: int) -> Backbone:
    """The backbone of a `VisionTransformer`, or of a timm model under no further layer; frozen, in eval mode.

    Raises:
        UserError: for blocks that have no table.
    """
    trunk = getattr(visual, "trunk", None)
    model: nn.Module = visual if trunk is None else trunk
    if trunk is None:
        visual.output_tokens = False
        _check_blocks(visual.transformer, name)
        arrange(visual.transformer)
        given: dict[str, Any] = hf_table(visual, BLOCKS)._asdict()
        given["places"] = before_norms(given["places"])
        given["entry"] = None if isinstance(visual.ln_pre, nn.Identity) else "ln_pre"
    else:
        given = timm_table(trunk, name)._asdict()
        has_entry = not isinstance(getattr(trunk, "norm_pre", nn.Identity()), nn.Identity)
        given["entry"] = "norm_pre" if has_entry else None
    model.eval().requires_grad_(False)
    return Backbone(
        model=model,
        name=name,
        input_spec=spec,
        num_features=num_features,
        hash=_digest(model),
        read=only_input,
        **given,
    )


def text_tower(clip: Any, name: str, spec: TextSpec, num_features: int) -> Backbone:
    """The backbone of a `TextTransformer`, or of the text part that lies in the CLIP itself; frozen, in eval mode.

    Raises:
        UserError: for blocks that have no table.
    """
    text = getattr(clip, "text", clip)
    _check_blocks(text.transformer, name)
    model = TextTower(text).eval().requires_grad_(False)
    is_causal = model.attn_mask is not None
    given: dict[str, Any] = hf_table(model, BLOCKS._replace(is_causal=is_causal))._asdict()
    parts = _digest(model), spec.tokenizer.hash, model.pool_type
    return Backbone(
        model=model,
        name=name,
        input_spec=spec,
        num_features=num_features,
        hash="meta" if parts[0] == "meta" else hashlib.sha256(" ".join(parts).encode()).hexdigest(),
        read=read_text,
        is_causal=is_causal,
        **given,
    )


def reads_padding(text_config: dict[str, Any]) -> bool:
    """Whether the embedding of a text depends on the padding behind it, of a tower of this `text_cfg`."""
    return bool(text_config.get("no_causal_mask")) or text_config.get("pool_type", "argmax") == "last"


class TextTower(nn.Module):
    """The text part of a CLIP: tokens and positions, blocks, a norm, one token of the last block, and a projection.

    Of texts whose padding is read, ids have the whole length; others may be shorter: positions are counted from the left.
    Source: open_clip.model.CLIP.encode_text, open_clip.transformer.TextTransformer. Differs: the causal mask has four axes, which
    makes room for prompts, and the batch may stand in the blocks several times, one behind the other.
    """

    attn_mask: Tensor | None

    def __init__(self, text: Any) -> None:
        super().__init__()
        self.token_embedding, self.positional_embedding = text.token_embedding, text.positional_embedding
        self.transformer, self.ln_final = text.transformer, text.ln_final
        self.text_projection = text.text_projection
        mask = text.attn_mask
        self.register_buffer("attn_mask", None if mask is None else mask[None, None], persistent=False)
        self.pool_type: str = getattr(text, "text_pool_type", None) or text.pool_type
        self.eos_id: int = getattr(text, "text_eos_id", None) or text.eos_id
        arrange(self.transformer)

    def forward(self, ids: Int64[Tensor, "n t"]) -> Float[Tensor, "m d"]:
        """The joint embedding of each text."""
        count = ids.shape[1]
        mask = None if self.attn_mask is None else self.attn_mask[..., :count, :count]
        x = self.token_embedding(ids) + self.positional_embedding[:count]
        x = self.transformer(x, attn_mask=mask)
        return self._projected(self._pooled(self.ln_final(x), ids))

    def _pooled(self, x: Tensor, ids: Tensor) -> Tensor:
        if self.pool_type in ("first", "last"):
            return x[:, 0 if self.pool_type == "first" else -1]
        ends = ids if self.pool_type == "argmax" else (ids == self.eos_id).int()
        at = ends.argmax(dim=-1).repeat(len(x) // len(ids))
        return x[torch.arange(len(x), device=x.device), at]

    def _projected(self, x: Tensor) -> Tensor:
        projection = self.text_projection
        if projection is None:
            return x
        projected: Tensor = projection(x) if isinstance(projection, nn.Linear) else x @ projection
        return projected


def read_text(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The joint embedding of each text, `[n, d]`."""
    features: Tensor = model(inputs["input_ids"])
    return features


def _digest(model: nn.Module) -> str:
    return "meta" if next(model.parameters()).is_meta else digest_of(model)


def _check_blocks(transformer: Any, name: str) -> None:
    kinds = {type(block).__name__ for block in transformer.resblocks} - {"ResidualAttentionBlock"}
    if kinds or not transformer.batch_first:
        raise UserError(
            f"backbone.name={name}: no table of places for its blocks ({', '.join(kinds) or 'tokens first'}); legal: open_clip's"
            " ResidualAttentionBlock, batch first"
        )
