"""backbone=duo: an image backbone and a text backbone that were trained apart, joined by a projection."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, Place, Port
from peftlab.backbone.digest import digest_of
from peftlab.backbone.pair import named, pair
from peftlab.backbone.state import read_state
from peftlab.backbone.timm.checkpoint import checkpoint_path
from peftlab.errors import UserError
from peftlab.option import NumBlocks, PositiveFloat
from peftlab.site import Site
from peftlab.stream import generator


class Projected(nn.Module):
    """An image network, and behind it the map into the space of the texts."""

    def __init__(self, trunk: nn.Module, num_in: int, num_out: int) -> None:
        super().__init__()
        self.trunk, self.proj = trunk, nn.Linear(num_in, num_out)
        if not self.proj.weight.is_meta:
            nn.init.normal_(self.proj.weight, std=num_in**-0.5, generator=generator(0, "backbone", "proj"))
            nn.init.zeros_(self.proj.bias)


def duo(
    *,
    name: str,
    image: Callable[..., Backbone],
    text: Callable[..., Backbone],
    checkpoint: str | None,
    sha256: str | None,
    depth: NumBlocks | None,
    scale: PositiveFloat,
) -> Backbone:
    """Two frozen networks of other groups, joined: the vector of an image is a linear map of its class token and the mean of its
    patches (of a network without a class token, of its features), in the space of the features of texts.

    `checkpoint` is a .safetensors of the map (`weight`, `bias`, and `scale`, which takes the place of the option): a path, or
    `package:FILE`; null leaves the map random. `depth` is null: each tower has its own.

    Raises:
        UserError: as the towers themselves; for a file that is missing, damaged or of another map.
    """
    if depth is not None:
        raise UserError(f"backbone.depth={depth}, but {name} has two towers; legal: null")
    known = None if checkpoint is None else read_state(checkpoint_path(checkpoint), checkpoint, sha256)
    return joined(name, image(), text(), scale, known)


def joined(
    name: str, image: Backbone, text: Backbone, scale: float, known: dict[str, Tensor] | None = None
) -> Backbone:
    """The two as one; `known` is what the file of the map holds.

    Raises:
        UserError: if the map is one of other towers.
    """
    first = _projected(image, text.num_features)
    proj: Any = first.model.get_submodule("proj")
    if known is not None:
        own = {key: known.get(key) for key in ("weight", "bias", "scale")}
        shapes = {"weight": proj.weight.shape, "bias": proj.bias.shape, "scale": torch.Size([])}
        wrong = [key for key, value in own.items() if value is None or value.shape != shapes[key]]
        if wrong:
            raise UserError(
                f"backbone.checkpoint: its {wrong[0]} is no {tuple(shapes[wrong[0]])}, which {image.name} and {text.name} want;"
                " legal: a file of scripts/pack_duo.py"
            )
        proj.load_state_dict({key: known[key].float() for key in ("weight", "bias")})
        scale = float(known["scale"])
    first.model.eval().requires_grad_(False)
    made = pair(name, first, text, scale=scale)
    parts = image.hash, text.hash, "meta" if proj.weight.is_meta else digest_of(proj), repr(scale)
    return replace(made, hash=hashlib.sha256(" ".join(parts).encode()).hexdigest())


def _projected(image: Backbone, num_out: int) -> Backbone:
    """The image tower: its places, and the map at `proj` of the last block."""
    has_tokens = image.num_prefix_tokens > 0 and hasattr(image.model, "forward_features")
    num_in = image.num_features * (2 if has_tokens else 1)
    model = Projected(image.model, num_in, num_out)
    inner = named(image, "trunk", 0)
    at = Site(image.depth - 1, "proj")
    weights = tuple((f"proj.{key}", (0, 1)) for key in ("weight", "bias"))
    place = Place(Port("proj", "in"), Port("proj", "out"), None, num_in, num_out, weights)
    read = partial(_tokens if has_tokens else _features, image)
    return replace(
        inner,
        model=model,
        labels=image.labels,
        places={**inner.places, at: place},
        num_features=num_out,
        read=read,
    )


def _tokens(image: Backbone, model: nn.Module, inputs: dict[str, Tensor]) -> Float[Tensor, "b d"]:
    network: Any = model
    tokens: Tensor = network.trunk.forward_features(inputs["images"])
    mean = tokens[:, image.num_prefix_tokens :].mean(1)
    projected: Tensor = network.proj(torch.cat([tokens[:, 0], mean], dim=-1))
    return projected


def _features(image: Backbone, model: nn.Module, inputs: dict[str, Tensor]) -> Float[Tensor, "b d"]:
    network: Any = model
    projected: Tensor = network.proj(image.read(network.trunk, inputs))
    return projected
