"""Two towers in one network: images and texts as vectors of one space (CLIP and its kind)."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.backbone.backbone import Backbone, Place, Port
from peftlab.backbone.class_texts import ClassTexts
from peftlab.errors import UserError
from peftlab.site import Site

TOWERS = ("image", "text")
VECTORS = "image_vectors"  # the input that says what `image_vectors` gives


class _Call(nn.Module):
    """What is called here has a name, at which something else can take its place."""

    def forward(self, made: Callable[[], Tensor]) -> Tensor:
        """What it makes."""
        return made()


class Towers(nn.Module):
    """Both networks; what they give passes `image_vector` and `text_vector`, that of an image `embedded` when its length is 1,
    and `classes` is where those of the classes are made."""

    def __init__(self, image: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.image_vector, self.text_vector = nn.Identity(), nn.Identity()
        self.embedded, self.classes = nn.Identity(), _Call()


def pair(name: str, image: Backbone, text: Backbone, *, scale: float, bias: float | None = None) -> Backbone:
    """One network of two, each of which gives vectors `[n, d]` of one width, which need not be of length 1.

    Blocks are image.0, ..., text.0, ...; at `context` of the first block of the texts stand the tokens around a class name,
    before they have a position, and at `vector` of the last block of each tower what it gives. `scale` and `bias` make a score of a
    cosine. Without texts (`with_texts`) it gives the vectors of images, `[b, d]`.

    Raises:
        UserError: if their vectors are not of one width, or the scale is not above 0.
    """
    if not scale > 0:
        raise UserError(f"backbone: the scale of cosines in {name} is {scale}; legal: above 0")
    if image.num_features != text.num_features:
        raise UserError(
            f"backbone: {image.name} gives vectors of {image.num_features} numbers, and {text.name} of {text.num_features}; legal: towers"
            " of one width"
        )
    text.text_spec("the second tower")
    first, second = named(image, "image", 0), named(text, "text", image.depth)
    first = replace(first, places={**first.places, **_vector(image, "image", 0)})
    second = replace(
        second, places={**second.places, **_context(image, text), **_vector(text, "text", image.depth)}
    )
    towers = first, second
    return Backbone(
        model=Towers(image.model, text.model).eval(),
        name=name,
        blocks=(*towers[0].blocks, *towers[1].blocks),
        labels=(*towers[0].labels, *towers[1].labels),
        num_prefix_tokens=image.num_prefix_tokens,
        places={**towers[0].places, **towers[1].places},
        outside=(*towers[0].outside, *towers[1].outside),
        input_spec=image.image_spec("the first tower"),
        num_features=image.num_features,
        hash="meta",
        refused={**text.refused, **image.refused},
        read=partial(_images, image),
        towers=towers,
        similarity=torch.tensor([scale, bias or 0.0], device="cpu"),
    )


def with_texts(backbone: Backbone, texts: ClassTexts) -> Backbone:
    """The same network between images and these classes: its features are the vectors of the images and, behind them, those of the
    classes, all of length 1: `[b + c, d]`. With `texts.per_image` each image has vectors of the classes of its own behind it,
    `[b, 1 + c, d]`.
    """
    image, text = backbone.towers
    return replace(backbone, texts=texts, read=partial(_both, image, text, texts))


def image_vectors(backbone: Backbone, inputs: dict[str, Tensor]) -> Float[Tensor, "b d"]:
    """Of length 1, by a backbone of two towers. Where they stand among its inputs (`VECTORS`), it does not compute them again."""
    return F.normalize(_images(backbone.towers[0], backbone.model, inputs), dim=-1)


def _images(image: Backbone, model: nn.Module, inputs: dict[str, Tensor]) -> Float[Tensor, "b d"]:
    towers: Any = model
    found: Tensor = towers.image_vector(image.read(towers.image, inputs))
    return found


def _both(
    image: Backbone, text: Backbone, texts: ClassTexts, model: nn.Module, inputs: dict[str, Tensor]
) -> Tensor:
    towers: Any = model
    known = inputs.get(VECTORS)
    own = F.normalize(_images(image, model, inputs), dim=-1) if known is None else known
    images: Tensor = towers.embedded(own)
    rows = texts.rows(len(images), images.device)
    classes: Tensor = towers.classes(partial(_classes, text, towers, texts, rows))
    if texts.per_image:
        return torch.cat([images.unsqueeze(1), classes.unflatten(0, (len(images), -1))], dim=1)
    return torch.cat([images, classes])


def _classes(text: Backbone, towers: Any, texts: ClassTexts, rows: dict[str, Tensor]) -> Float[Tensor, "c d"]:
    """Of each class the direction of the mean over its texts, each of length 1."""
    vectors = F.normalize(towers.text_vector(text.read(towers.text, rows)), dim=-1)
    if texts.num_templates == 1:
        return vectors
    return F.normalize(vectors.unflatten(0, (-1, texts.num_templates)).mean(1), dim=-1)


def _context(image: Backbone, text: Backbone) -> dict[Site, Place]:
    """The tokens of a text, as they are looked up and as they enter each further block; what the image tower gives can be read
    beside the first."""
    tables = [name for name, module in text.model.named_modules() if isinstance(module, nn.Embedding)]
    if not tables or "tokens" not in text.positions:
        return {}
    table: Any = text.model.get_submodule(tables[0])
    words, seen, width = Port(f"text.{tables[0]}", "out"), Port("embedded", "out"), int(table.embedding_dim)
    places = {Site(image.depth, "context"): Place(words, words, seen, image.num_features, width, ())}
    for index, block in enumerate(text.blocks[1:], image.depth + 1):
        entering, own = Port(f"text.{block}", "in"), text.places[Site(index - image.depth, "tokens")].num_in
        places[Site(index, "context")] = Place(entering, entering, None, own, own, ())
    return places


def _vector(tower: Backbone, word: str, first: int) -> dict[Site, Place]:
    """What a tower gives, as it can be read and written."""
    given, width = f"{word}_vector", tower.num_features
    place = Place(Port(given, "in"), Port(given, "out"), None, width, width, ())
    return {Site(first + tower.depth - 1, "vector"): place}


def named(tower: Backbone, word: str, first: int) -> Backbone:
    """A tower as a part of the whole: its names begin with `word`, its blocks are counted from `first` on."""

    def port(given: Port) -> Port:
        bias, source = (None if name is None else f"{word}.{name}" for name in (given.bias, given.source))
        return replace(given, module=f"{word}.{given.module}", bias=bias, source=source)

    places = {
        Site(first + site.block, site.position): replace(
            place,
            input=port(place.input),
            output=port(place.output),
            residual=None if place.residual is None else port(place.residual),
            parameters=tuple((f"{word}.{name}", part) for name, part in place.parameters),
            sublayer=None if place.sublayer is None else f"{word}.{place.sublayer}",
            joins=None if place.joins is None else port(place.joins),
        )
        for site, place in tower.places.items()
    }
    rotary, relative, entry = (
        None if name is None else f"{word}.{name}" for name in (tower.rotary, tower.relative, tower.entry)
    )
    return replace(
        tower,
        blocks=tuple(f"{word}.{name}" for name in tower.blocks),
        labels=tuple(f"{word}.{label}" for label in tower.labels),
        outside=tuple(f"{word}.{name}" for name in tower.outside),
        places=places,
        rotary=rotary,
        relative=relative,
        entry=entry,
    )
