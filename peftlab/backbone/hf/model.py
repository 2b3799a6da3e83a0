"""backbone=minilm, backbone=hf: an encoder or a decoder of Hugging Face, from a folder, a package or the hub."""

import hashlib
import logging
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.digest import digest_of
from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.folder import (
    TOKENIZER,
    called,
    check_files,
    check_folder,
    length_of,
    local_folder,
    pooling_of,
)
from peftlab.backbone.hf.heard import Heard
from peftlab.backbone.hf.hub import hub_folder
from peftlab.backbone.hf.layout import arrange, scaled
from peftlab.backbone.hf.read import READ, read_decoder
from peftlab.backbone.hf.table import hf_table
from peftlab.backbone.hf.tokenizer import FileTokenizer
from peftlab.backbone.hf.weights import load_weights
from peftlab.backbone.int8 import quantised
from peftlab.backbone.quantise import Quantise
from peftlab.backbone.table import check_depth
from peftlab.errors import UserError
from peftlab.inputs.text import TextSpec
from peftlab.inputs.unused import without_unused
from peftlab.option import NumBlocks, PositiveInt
from peftlab.stream import stream_seed

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def hf_model(
    *,
    name: str,
    pretrained: bool,
    sha256: str | None,
    depth: NumBlocks | None,
    pool: Literal["mean", "first", "last"] | None,
    max_length: PositiveInt | None,
    quantise: Quantise,
) -> Backbone:
    """A frozen network in fp32, in eval mode: without pooler and heads, but for the output embedding of a decoder.

    `name` is a folder with config.json, model.safetensors and tokenizer.json, the same as `python:PACKAGE/FOLDER` of a package
    that pip has installed or `package:NAME` of this one, or a name of the hub. `pretrained: false` leaves the weights random.
    Features are the mean of the last hidden states of all tokens, or that of the first or the last one; `pool: null` is what
    the model's own files say. `max_length` in tokens (null: the model's own); `depth` is what the YAML promises.
    `quantise` keeps the linear layers of its blocks in fewer bits: see `quantised`.

    Raises:
        UserError: for files that are missing, damaged or of different models, and a family without a table.
    """
    check_folder({"name": name, "pretrained": pretrained, "sha256": sha256})
    folder = local_folder(name) or hub_folder(name)
    family, config = check_files(name, folder, pretrained)
    model, unembedding = created(name, family, config)
    if pretrained:
        unembedding = load_weights(model, unembedding, family, folder, name, sha256)
    options = {"name": name, "depth": depth, "pool": pool, "max_length": max_length}
    backbone = backbone_of(model, unembedding, family, folder, options)
    return quantised(replace(backbone, hash=_hash(backbone)), quantise)


def backbone_of(
    model: nn.Module, unembedding: nn.Module | None, family: Family, folder: Path, options: dict[str, Any]
) -> Backbone:
    """The backbone of a network, without a hash, whose other files lie in `folder`; `options` are those of the config.

    Raises:
        UserError: if it is not as deep as promised, cannot take texts as long as wanted, or its first token sees no other.
    """
    shown = called(options["name"])
    pool = _pool(options["pool"] or pooling_of(folder, family.scores_words), family, shown)
    arrange(model)
    table = hf_table(model, family)
    if unembedding is not None:
        model.add_module("unembedding", unembedding)  # so that it goes where the network goes
    model.float().eval().requires_grad_(False)
    config: Any = model.config
    check_depth(options["depth"], table, shown)
    _check_start(family, config, shown)
    has_encoder = family.decoder is not None
    length = _length(folder, family, config, options["max_length"])
    inputs = INPUTS if family.reads_types else INPUTS[:2]
    given: dict[str, Any] = table._asdict()
    return Backbone(
        model=model,
        name=shown,
        input_spec=TextSpec(_tokenizer(folder, family, config), length, inputs),
        num_features=config.hidden_size,
        hash="meta",
        read=read_decoder if has_encoder else READ[pool],
        is_causal=family.is_causal,
        rotary=family.rotary,
        relative=family.relative,
        unembedding=unembedding,
        decoder=sum(label.startswith("enc.") for label in table.labels) if has_encoder else None,
        # of a state space, which sees padding, each text is read again for every new token
        new_cache=partial(_cache, config, has_encoder)
        if family.scores_words and family.product is not None
        else None,
        **given,
    )


def _tokenizer(folder: Path, family: Family, config: Any) -> FileTokenizer:
    pad_id = max(config.pad_token_id or 0, 0)
    end_id = _first(config.eos_token_id) if family.scores_words else None
    apart = family.decoder is not None
    return FileTokenizer(folder / TOKENIZER, pad_id, config.vocab_size, end_id, answers_apart=apart)


def _check_start(family: Family, config: Any, shown: str) -> None:
    if family.decoder is not None and getattr(config, "decoder_start_token_id", None) is None:
        raise UserError(
            f"backbone.name={shown}: config.json has no decoder_start_token_id, which the decoder reads first; legal: the number of"
            " a token"
        )


def _pool(pool: str, family: Family, shown: str) -> str:
    if family.is_causal and pool == "first":
        raise UserError(
            f"backbone.pool=first does not go with {shown}, whose first token sees no other; legal: last, mean"
        )
    if family.decoder is not None and pool != "last":
        raise UserError(f"backbone.pool={pool} does not go with {shown}, whose decoder is read; legal: last")
    return pool


def created(name: str, family: Family, config: dict[str, Any]) -> tuple[nn.Module, nn.Module | None]:
    """transformers' network of a config.json with random weights; of a decoder its output embedding, too.

    Raises:
        UserError: if it cannot be made.
    """
    with without_unused():
        module: Any = import_module(family.module)
        configs, networks = getattr(module, family.config), getattr(module, family.model)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    _check_product(family, networks)
    has_pooler = not family.scores_words and family.prefix != "distilbert."
    more = {"add_pooling_layer": False} if has_pooler else {}
    try:
        own = configs.from_dict({**config, "chunk_size_feed_forward": 0})
        if family.product is not None:
            own._attn_implementation = "sdpa"  # the function that a prefix acts at
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(0, "backbone"))
            network: Any = networks(own, **more)
    except Exception as error:  # a config of numbers that do not go together
        raise UserError(f"backbone.name={name}: config.json is that of no network ({error})") from error
    if not family.scores_words:
        return network, None
    inner, unembedding = network.get_submodule(family.prefix.rstrip(".")), network.get_output_embeddings()
    if inner is network:
        del network.lm_head
    return inner, scaled(unembedding, own)


def _check_product(family: Family, network: Any) -> None:
    if (
        family.product is not None and not network._supports_sdpa
    ):  # T5 in the first releases of transformers 5
        raise UserError(
            f"backbone: {network.__name__} of the installed transformers calls no attention product that can be found; legal: pip"
            " install --upgrade transformers"
        )


def _hash(backbone: Backbone) -> str:
    """sha256 of the weights, the tokenizer and the way of pooling: which function of a text a result belongs to."""
    assert isinstance(backbone.input_spec, TextSpec)
    parts = digest_of(backbone.model), backbone.input_spec.tokenizer.hash, backbone.read.__name__
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _cache(config: Any, has_encoder: bool) -> Heard:
    """An empty cache."""
    with without_unused():
        module: Any = import_module("transformers.cache_utils")
    if has_encoder:
        return Heard(module.EncoderDecoderCache(module.DynamicCache(), module.DynamicCache()))
    return Heard(module.DynamicCache(config=config))


def _first(ids: int | list[int] | None) -> int | None:
    """Of the tokens that end a text, or a turn of a talk, the one that ends a text."""
    return ids[0] if isinstance(ids, list) else ids


def _length(folder: Path, family: Family, config: Any, wanted: int | None) -> int:
    if family.length is not None:  # it can read longer texts, too
        return wanted or length_of(folder, family.length)
    most = config.max_position_embeddings
    most -= max(config.pad_token_id or 0, 0) + 1 if family.counts_from_padding else 0
    if wanted is not None and wanted > most:
        raise UserError(
            f"backbone.max_length={wanted} is longer than the network can read; legal: 1 to {most}, or null"
        )
    return wanted or length_of(folder, most)
