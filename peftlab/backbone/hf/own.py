"""A model of transformers that somebody made, as a backbone: used as it is, without its heads."""

from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.families import FAMILIES
from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.model import INPUTS
from peftlab.backbone.hf.read import READ
from peftlab.backbone.hf.table import hf_table
from peftlab.errors import UserError
from peftlab.inputs.text import TextSpec

POOLER = "pooler."  # behind the last block, and read by nobody here
KV = "its attention_implementation is {}, and a prefix acts in sdpa; legal: AutoModel.from_pretrained(..., attn_implementation='sdpa')"


def is_of_transformers(model: nn.Module) -> bool:
    """Whether it is a network of transformers, of whatever family."""
    return hasattr(getattr(model, "config", None), "model_type") and hasattr(model, "base_model")


def own_encoder(model: nn.Module, pool: str | None) -> Backbone:
    """The network in a model of transformers, with or without a head; all weights of the model are frozen.

    `pool` says how features are read: the mean over the tokens, or the first or the last one; by default the first, and of a
    decoder the last.

    Raises:
        UserError: for a family without a table, or layers in a layout of their own, or a pooling that there is none of.
    """
    given: Any = model
    name, config = type(model).__name__, given.config
    family = _family(name, config)
    inner = family.prefix.partition(".")[2].rstrip(".")
    network: Any = given.base_model.get_submodule(inner) if inner else given.base_model
    _check_layout(name, network, config)
    if pool not in (None, "mean", "last" if family.is_causal else "first"):
        raise UserError(
            f"pool={pool} is none of {name}; legal: mean, {'last' if family.is_causal else 'first'}"
        )
    model.requires_grad_(False)
    table = hf_table(network, family)
    outside = tuple(key for key in table.outside if not key.startswith(POOLER))
    fields: dict[str, Any] = {**table._asdict(), "outside": outside}
    if config._attn_implementation != "sdpa":
        fields["refused"] = {"kv": KV.format(config._attn_implementation)}
        fields["places"] = {site: place for site, place in table.places.items() if site.position != "kv"}
    return Backbone(
        model=network,
        name=name,
        input_spec=TextSpec(
            _Ids(), config.max_position_embeddings, INPUTS if family.reads_types else INPUTS[:2]
        ),
        num_features=config.hidden_size,
        hash="own",
        read=partial(_read, pool or ("last" if family.is_causal else "first")),
        is_causal=family.is_causal,
        rotary=family.rotary,
        **fields,
    )


def _family(name: str, config: Any) -> Family:
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise UserError(
            f"model={name} has no table of places (model_type {config.model_type}); legal: {', '.join(sorted(FAMILIES))}"
        )
    if family.decoder is not None:
        raise UserError(
            f"model={name} has an encoder and a decoder, which are read together; legal: a run with backbone=hf"
        )
    for key, usual in {**family.usual, "chunk_size_feed_forward": 0}.items():
        value = getattr(config, key, usual)
        if value != usual:
            raise UserError(
                f"model={name} has {key}={value} in its config, which has no table; legal: {key}={usual}"
            )
    return family


def _check_layout(name: str, network: nn.Module, config: Any) -> None:
    """Layers that would have to be replaced by others, in a network that is to stay as it is."""
    odd = any(type(layer).__name__ == "Conv1D" for layer in network.modules())
    if odd or config.model_type in ("gpt_neox", "mamba"):
        raise UserError(
            f"model={name} has layers in a layout of their own, which would have to be replaced; legal: a run with"
            " backbone=hf, or a family whose linear layers are called one by one, as llama"
        )


def _read(pool: str, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    return READ[pool](model, {"attention_mask": torch.ones_like(inputs["input_ids"]), **inputs})


class _Ids:
    """The place of a tokenizer: whoever made the model makes the token ids."""

    hash, pad_id = "own", 0

    def encode(self, first: list[str], second: list[str] | None, max_length: int) -> NoReturn:
        """There is none."""
        raise UserError("this model was given without a tokenizer; legal: token ids")
