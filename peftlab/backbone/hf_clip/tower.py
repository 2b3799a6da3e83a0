"""The two towers of a CLIP or SigLIP of Hugging Face, each a backbone of its own: the joint embedding, not normalised."""

import hashlib
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, only_input
from peftlab.backbone.digest import digest_of
from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.table import before_norms, hf_table
from peftlab.inputs.image import InputSpec
from peftlab.inputs.text import TextSpec

# x <- x + attn(norm1(x)), x <- x + ffn(norm2(x)), in both towers of both kinds
BLOCKS = Family(
    module="transformers.models.clip",
    config="",
    model="",
    prefix="",
    blocks="network.encoder.layers",
    linear={
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "out": "self_attn.out_proj",
        "mlp1": "mlp.fc1",
        "mlp2": "mlp.fc2",
    },
    product="self_attn",
    attn=("self_attn", "self_attn.out_proj"),  # the attention itself gives its map, too
    ffn=("mlp", "mlp"),
    act="mlp.activation_fn",
    norm1="layer_norm1",
    norm2="layer_norm2",
    norm_first=True,
)


class ImageTower(nn.Module):
    """Pictures to vectors: the network with its own pooling, and CLIP's projection."""

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.network: nn.Module = clip.vision_model
        self.projection: nn.Module = getattr(clip, "visual_projection", nn.Identity())

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "m d"]:
        """The joint embedding of each."""
        vectors: Tensor = self.projection(self.network(pixel_values=images).pooler_output)
        return vectors


class TextTower(nn.Module):
    """Texts to vectors: of CLIP the token that ends a text, projected; of SigLIP the last one, padding or not.

    Source: transformers' CLIPModel.get_text_features, SiglipModel.get_text_features. Differs: the batch may stand in the blocks
    several times, one behind the other, and CLIP is given no mask of padding, which stands behind the end, where nobody looks.
    """

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self.network: nn.Module = clip.text_model
        self.projection: nn.Module = getattr(clip, "text_projection", nn.Identity())
        self.is_causal: bool = clip.config.model_type == "clip"
        self.end_id: int = clip.config.text_config.eos_token_id

    def forward(self, ids: Int64[Tensor, "n t"]) -> Float[Tensor, "m d"]:
        """The joint embedding of each text."""
        found = self.network(input_ids=ids)
        pooled = self._end(found.last_hidden_state, ids) if self.is_causal else found.pooler_output
        vectors: Tensor = self.projection(pooled)
        return vectors

    def _end(self, hidden: Tensor, ids: Tensor) -> Tensor:
        ends = (
            ids if self.end_id == 2 else (ids == self.end_id).int()
        )  # 2: of files that name another token than they use
        at = ends.argmax(dim=-1).repeat(len(hidden) // len(ids))
        return hidden[torch.arange(len(hidden), device=hidden.device), at]


def image_tower(clip: Any, name: str, spec: InputSpec, num_features: int) -> Backbone:
    """The backbone of the image tower; frozen, in eval mode."""
    model = ImageTower(clip).eval().requires_grad_(False)
    given: dict[str, Any] = hf_table(model, BLOCKS)._asdict()
    given["places"] = before_norms(given["places"])
    is_clip = clip.config.model_type == "clip"
    given["num_prefix_tokens"] = int(is_clip)  # SigLIP has no class token
    return Backbone(
        model=model,
        name=name,
        input_spec=spec,
        num_features=num_features,
        hash="meta" if next(model.parameters()).is_meta else digest_of(model),
        read=only_input,
        entry="network.pre_layrnorm" if is_clip else None,
        **given,
    )


def text_tower(clip: Any, name: str, spec: TextSpec, num_features: int) -> Backbone:
    """The backbone of the text tower; frozen, in eval mode."""
    model = TextTower(clip).eval().requires_grad_(False)
    given: dict[str, Any] = hf_table(model, BLOCKS._replace(is_causal=model.is_causal))._asdict()
    is_meta = next(model.parameters()).is_meta
    parts = "" if is_meta else digest_of(model), spec.tokenizer.hash, repr(model.end_id)
    return Backbone(
        model=model,
        name=name,
        input_spec=spec,
        num_features=num_features,
        hash="meta" if is_meta else hashlib.sha256(" ".join(parts).encode()).hexdigest(),
        read=_read,
        is_causal=model.is_causal,
        **given,
    )


def _read(model: nn.Module, inputs: dict[str, Tensor]) -> Float[Tensor, "m d"]:
    vectors: Tensor = model(inputs["input_ids"])
    return vectors
