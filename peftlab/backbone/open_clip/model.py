"""backbone=open_clip: the two towers of a CLIP that open_clip knows, with its published weights, a file's or random ones."""

import hashlib
import json
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.int8 import quantised
from peftlab.backbone.open_clip.name import (
    CONFIG,
    called,
    check_open_clip,
    check_towers,
    local_folder,
    model_config,
)
from peftlab.backbone.open_clip.tokenizer import ClipTokenizer
from peftlab.backbone.open_clip.tower import image_tower, reads_padding, text_tower
from peftlab.backbone.pair import pair
from peftlab.backbone.quantise import Quantise
from peftlab.backbone.state import fill, first_sentence, read_state
from peftlab.backbone.timm.checkpoint import checkpoint_path
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.inputs.text import TextSpec
from peftlab.inputs.unused import without_unused
from peftlab.option import NumBlocks
from peftlab.stream import stream_seed

IDS = ("input_ids", "attention_mask")
UNUSED = ("input_resolution", "context_length", "vocab_size", "attn_mask")  # in OpenAI's files


def open_clip_model(
    *,
    name: str,
    pretrained: str | bool | None,
    checkpoint: str | None,
    sha256: str | None,
    depth: NumBlocks | None,
    quantise: Quantise,
) -> Backbone:
    """A frozen CLIP of open_clip in fp32, in eval mode: image and text tower in one, with the scale and the bias of its cosines.

    `name` is a model of open_clip, or a folder with an open_clip_config.json; `pretrained` the word of its weights, as openai,
    which come by open_clip's own way; `checkpoint` a file in the same layout (RemoteCLIP, GeoRSCLIP); neither leaves them random.
    `depth` is null: each tower has its own.
    `quantise` keeps the linear layers of its blocks in fewer bits: see `quantised`.

    Raises:
        UserError: unknown name, towers without a table, weights that cannot be had, a file that does not match the model or its
            sha256.
    """
    options = {"name": name, "pretrained": pretrained, "checkpoint": checkpoint, "sha256": sha256}
    check_open_clip(options)
    if depth is not None:
        raise UserError(f"backbone.depth={depth}, but {name} has two towers; legal: null")
    return quantised(joined(name, *created(name, pretrained, checkpoint, sha256)), quantise)


def joined(name: str, clip: nn.Module, config: dict[str, Any], preprocess: dict[str, Any]) -> Backbone:
    """The two towers of a network as one backbone.

    Raises:
        UserError: for towers without a table, and a tokenizer that cannot be had.
    """
    tokenizer = tokenizer_of(name, config["text_cfg"])
    image, text, scale, bias = towers_of(clip, name, config, preprocess, tokenizer)
    made = pair(called({"name": name}) or name, image, text, scale=scale, bias=bias)
    if image.hash == "meta":
        return made
    # weights do not say which activation stands between them, or which token is read
    parts = image.hash, text.hash, repr(scale), repr(bias), json.dumps(config, sort_keys=True)
    return replace(made, hash=hashlib.sha256(" ".join(parts).encode()).hexdigest())


class Towers(NamedTuple):
    """The two towers of a CLIP; logits are `scale * cosine + bias`."""

    image: Backbone
    text: Backbone
    scale: float
    bias: float | None


def towers_of(
    clip: Any, name: str, config: dict[str, Any], preprocess: dict[str, Any], tokenizer: Any
) -> Towers:
    """Those of a network of open_clip, whose attention is replaced by one with called layers; frozen, in eval mode.

    `config` is its own description, `preprocess` what it expects of pictures, `tokenizer` what `open_clip.get_tokenizer` gives.

    Raises:
        UserError: for towers that have no table.
    """
    check_towers(name, config)
    own_tokenizer = ClipTokenizer(tokenizer, is_padded=reads_padding(config["text_cfg"]))
    text_spec = TextSpec(own_tokenizer, int(clip.context_length), IDS)
    image = image_tower(clip.visual, name, _image_spec(clip, name, preprocess), config["embed_dim"])
    text = text_tower(clip, name, text_spec, config["embed_dim"])
    scale, bias = clip.logit_scale.detach(), clip.logit_bias
    if scale.is_meta:
        return Towers(image, text, 1.0, None)
    return Towers(image, text, float(scale.exp()), None if bias is None else float(bias.detach()))


def created(
    name: str, pretrained: str | bool | None, checkpoint: str | None, sha256: str | None
) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """open_clip's network, its description, and what it expects of pictures.

    Raises:
        UserError: for a description that fits no network, and weights that cannot be had or are another model's.
    """
    config = model_config(name)
    check_towers(name, config)
    factory: Any = _factory()
    preprocess = factory.asdict(factory.PreprocessCfg())
    given: dict[str, Any] = {}
    if pretrained:
        given = factory.get_pretrained_cfg(name, str(pretrained))
        preprocess = factory.merge_preprocess_dict(preprocess, given)
        config["quick_gelu"] = bool(given.get("quick_gelu"))  # as the weights were trained
    clip = _network(name, config)
    if given:
        _load_published(clip, name, str(pretrained), given)
    if checkpoint is not None:
        _load_file(clip, name, checkpoint, sha256)
    return clip, config, preprocess


def _factory() -> Any:
    with without_unused():
        from open_clip import factory
    return factory


def _networks() -> Any:
    with without_unused():
        from open_clip import model
    return model


def _network(name: str, config: dict[str, Any]) -> nn.Module:
    module: Any = _networks()
    has_own_text = config.get("custom_text", False)
    network = module.CustomTextCLIP if has_own_text else module.CLIP
    given = {key: value for key, value in config.items() if key != "custom_text"}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(0, "backbone"))
            clip: nn.Module = network(**given)
    except (TypeError, ValueError, AssertionError, ZeroDivisionError, RuntimeError) as error:
        raise UserError(
            f"backbone.name={name}: its description is that of no network ({first_sentence(error)}); legal: an {CONFIG} that"
            " open_clip has written"
        ) from error
    return clip


def _load_published(clip: nn.Module, name: str, tag: str, given: dict[str, Any]) -> None:
    factory: Any = _factory()
    try:
        factory.load_checkpoint(clip, factory.download_pretrained(given))
    except Exception as error:  # no network, a disk that is full: the kinds change with every release
        raise UserError(
            f"backbone.pretrained={tag}: the weights of {name} cannot be had ({first_sentence(error)}); download them on a machine with"
            " network and give backbone.pretrained=null backbone.checkpoint=FILE"
        ) from error


def _load_file(clip: nn.Module, name: str, checkpoint: str, sha256: str | None) -> None:
    """RemoteCLIP's and GeoRSCLIP's files, OpenAI's and open_clip's own: the same names, the text tower apart or not."""
    given = read_state(checkpoint_path(checkpoint), checkpoint, sha256)
    wanted = clip.state_dict()
    state = {key.removeprefix("module."): value.float() for key, value in given.items()}
    state = {key: value for key, value in state.items() if key not in UNUSED}
    if hasattr(clip, "text"):
        state = _networks().convert_to_custom_text_state_dict(state)
    state |= {key: state[key].reshape(wanted[key].shape) for key in _scalars(wanted, state)}
    fill(clip, state, f"backbone.checkpoint={checkpoint} is not a {name}")


def _scalars(wanted: dict[str, Tensor], state: dict[str, Tensor]) -> list[str]:
    """Temperature and bias, which some files keep as numbers and some as vectors of one."""
    return [
        key
        for key in ("logit_scale", "logit_bias")
        if key in state and key in wanted and state[key].numel() == 1
    ]


def tokenizer_of(name: str, text_config: dict[str, Any]) -> Any:
    """open_clip's tokenizer of a model.

    Raises:
        UserError: if it cannot be had, or gives tokens that the network lacks.
    """
    factory: Any = _factory()
    folder = local_folder(name)
    try:
        tokenizer = factory.get_tokenizer(name if folder is None else f"local-dir:{folder}")
    except Exception as error:  # of a hub that cannot be reached, or of files that are none
        raise UserError(
            f"backbone.name={name}: its tokenizer {text_config.get('hf_tokenizer_name', '')} cannot be had ({first_sentence(error)});"
            " legal: one in the cache or on the hub, or a model with open_clip's own, as ViT-B-16"
        ) from error
    most, given = text_config.get("vocab_size", 49408), getattr(tokenizer, "vocab_size", 0)
    if given > most:
        raise UserError(
            f"backbone.name={name}: its tokenizer gives tokens up to {given - 1}, and the network has {most}; legal: files of one model"
        )
    return tokenizer


def _image_spec(clip: Any, name: str, preprocess: dict[str, Any]) -> InputSpec:
    size = clip.visual.image_size
    height, width = size if isinstance(size, tuple | list) else (size, size)
    if height != width:
        raise UserError(
            f"backbone.name={name} reads images of {height} x {width}; legal: models of square images"
        )
    mean, std = tuple(preprocess["mean"]), tuple(preprocess["std"])
    return InputSpec(int(height), mean, std, preprocess["interpolation"], 1.0)
