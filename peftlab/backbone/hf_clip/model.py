"""backbone=hf_clip: both towers of a CLIP or SigLIP of Hugging Face, from a folder, a package or the hub."""

import hashlib
import json
import logging
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.folder import CONFIG, TOKENIZER, WEIGHTS, called, json_of
from peftlab.backbone.hf.hub import hub_folder
from peftlab.backbone.hf.tokenizer import FileTokenizer
from peftlab.backbone.hf.weights import MADE_ANEW, read_weights
from peftlab.backbone.hf_clip.folder import PREPROCESSOR, READ, check_clip, config_of
from peftlab.backbone.hf_clip.tower import image_tower, text_tower
from peftlab.backbone.int8 import quantised
from peftlab.backbone.pair import pair
from peftlab.backbone.quantise import Quantise
from peftlab.backbone.state import fill
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.inputs.text import TextSpec
from peftlab.inputs.unused import without_unused
from peftlab.option import NumBlocks
from peftlab.stream import stream_seed

IDS = ("input_ids", "attention_mask")
CLASSES = {"clip": "CLIP", "siglip": "Siglip"}
# where a folder has no preprocessor_config.json: transformers' own
MEANS = {"clip": (0.48145466, 0.4578275, 0.40821073), "siglip": (0.5, 0.5, 0.5)}
STDS = {"clip": (0.26862954, 0.26130258, 0.27577711), "siglip": (0.5, 0.5, 0.5)}
RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL's numbers


def hf_clip(
    *,
    name: str,
    pretrained: bool,
    sha256: str | None,
    depth: NumBlocks | None,
    quantise: Quantise,
) -> Backbone:
    """A frozen CLIP or SigLIP of transformers in fp32, in eval mode: image and text tower in one, with the scale and the bias of its
    cosines.

    `name` is a folder with config.json, model.safetensors and tokenizer.json, or a name of the hub. `pretrained: false` leaves the
    weights random. `depth` is null: each tower has its own.
    `quantise` keeps the linear layers of its blocks in fewer bits: see `quantised`.

    Raises:
        UserError: for files that are missing, damaged or of different models, and a model of another kind.
    """
    options = {"name": name, "pretrained": pretrained, "sha256": sha256}
    folder = check_clip(options) or hub_folder(name, READ)
    if depth is not None:
        raise UserError(f"backbone.depth={depth}, but {name} has two towers; legal: null")
    clip = created(name, config_of(name, folder, pretrained))
    if pretrained:
        given = read_weights(folder, name, sha256)
        state = {key: value.float() for key, value in given.items() if not key.endswith(MADE_ANEW)}
        fill(clip, state, f"backbone.name={name}: {WEIGHTS} does not fit {CONFIG}")
    return quantised(joined(name, clip, folder), quantise)


def created(name: str, config: dict[str, Any]) -> nn.Module:
    """transformers' network of a config.json, with random weights.

    Raises:
        UserError: if it cannot be made.
    """
    kind = str(config["model_type"])
    with without_unused():
        module: Any = import_module(f"transformers.models.{kind}")
        configs, networks = (getattr(module, f"{CLASSES[kind]}{word}") for word in ("Config", "Model"))
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        own = configs.from_dict(config)
        own._attn_implementation = "sdpa"  # the function that a prefix acts at
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(0, "backbone"))
            network: nn.Module = networks(own)
    except Exception as error:  # a config of numbers that do not go together
        raise UserError(f"backbone.name={name}: {CONFIG} is that of no network ({error})") from error
    return network.float()


def joined(name: str, clip: Any, folder: Path) -> Backbone:
    """The two towers of a network as one backbone; its tokenizer and what it expects of pictures lie in a folder.

    Raises:
        UserError: for a tokenizer that cannot be read or has tokens that the network lacks, and towers of different widths.
    """
    shown, text = called(name), clip.config.text_config
    is_clip = clip.config.model_type == "clip"
    pad_id = max(text.pad_token_id or 0, 0)
    tokenizer = FileTokenizer(folder / TOKENIZER, pad_id, text.vocab_size, is_padded=not is_clip)
    num_image = clip.config.projection_dim if is_clip else clip.config.vision_config.hidden_size
    num_text = clip.config.projection_dim if is_clip else text.projection_size
    towers = (
        image_tower(clip, shown, _image_spec(clip.config, folder), num_image),
        text_tower(clip, shown, TextSpec(tokenizer, text.max_position_embeddings, IDS), num_text),
    )
    scale, bias = clip.logit_scale.detach(), getattr(clip, "logit_bias", None)
    if scale.is_meta:
        return pair(shown, *towers, scale=1.0)
    numbers = float(scale.exp()), None if bias is None else float(bias.detach())
    made = pair(shown, *towers, scale=numbers[0], bias=numbers[1])
    # weights do not say which activation stands between them
    acts = [part.hidden_act for part in (clip.config.vision_config, text)]
    parts = towers[0].hash, towers[1].hash, json.dumps([*numbers, *acts])
    return replace(made, hash=hashlib.sha256(" ".join(parts).encode()).hexdigest())


def _image_spec(config: Any, folder: Path) -> InputSpec:
    given, kind = json_of(folder / PREPROCESSOR) or {}, config.model_type
    mean, std = (
        _three(given, f"image_{word}", usual[kind]) for word, usual in (("mean", MEANS), ("std", STDS))
    )
    interpolation = RESAMPLE.get(given.get("resample", 3), "bicubic")
    return InputSpec(config.vision_config.image_size, mean, std, interpolation, 1.0)


def _three(given: dict[str, Any], key: str, usual: tuple[float, ...]) -> tuple[float, float, float]:
    """One number of each channel."""
    try:
        red, green, blue = map(float, given.get(key, usual))
    except (TypeError, ValueError):
        raise UserError(
            f"backbone.name: {PREPROCESSOR} has {key}={given[key]}; legal: three numbers"
        ) from None
    return red, green, blue
