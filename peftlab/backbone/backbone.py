"""A frozen network and its table of places that can be read and written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn
from torch.func import functional_call

from peftlab.backbone.class_texts import ClassTexts, Context
from peftlab.errors import UserError
from peftlab.inputs.clip import frames_of, mean_over_frames, num_frames_of
from peftlab.inputs.image import InputSpec
from peftlab.inputs.text import CACHE, Masks, TextSpec, masks_of, said_of
from peftlab.site import POSITIONS, Site

NUM_HEADS = ("num_heads", "num_attention_heads", "n_heads")  # what an attention module calls it


@dataclass(frozen=True)
class Port:
    """One tensor of one module call. `slice=(0, 3)` is the first third of its last axis: q of a fused qkv.

    side: `in` is the module's first argument, `out` what it returns, `heads` the output of the attention product inside
    an attention module, `tokens` the sequence that enters a block, `time` what the module gives when it reads the frames of each
    token as one sequence. `bias` names a parameter that belongs to this tensor
    and that the network adds behind the module (q and v of BEiT). `source` names a module that may have given what stands
    here: a function of its input alone, which can be called again; it does not tell ports apart.
    """

    module: str
    side: Literal["in", "out", "heads", "tokens", "time"]
    slice: tuple[int, int] = (0, 1)
    bias: str | None = None
    source: str | None = field(default=None, compare=False)

    def value(self, tensor: Tensor, modules: Mapping[str, nn.Module]) -> Tensor:
        """What stands here when the module takes or gives `tensor`: its slice, with the bias that is yet to come."""
        index, count = self.slice
        own = tensor if count == 1 else tensor.chunk(count, dim=-1)[index]
        if self.bias is None:
            return own
        path, _, name = self.bias.rpartition(".")
        bias: Tensor = getattr(modules[path], name)  # in this forward it may be another than the frozen one
        return own + bias.to(own)


@dataclass(frozen=True)
class Place:
    """The ports of one sub-module of one block, and their widths.

    `input` is what the sub-module reads, `output` what it writes; `residual` is the stream before its norm (sub-layers), or
    what the image tower gives (`context`). `sublayer` and `joins`, of a norm that stands before a sub-layer, are that module and
    what it adds to the stream that the norm reads. `parameters` are the names of the weights that belong to it, each with its
    slice of axis 0. At `kv`, input is the attention module's and num_out the width of all heads; at `tokens`, input is the
    block's.
    """

    input: Port
    output: Port
    residual: Port | None
    num_in: int
    num_out: int
    parameters: tuple[tuple[str, tuple[int, int]], ...]
    sublayer: str | None = None
    joins: Port | None = None


def only_input(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The features of a network that takes one tensor and gives them."""
    (value,) = inputs.values()
    features: Tensor = model(value)
    return features


@dataclass(frozen=True)
class Backbone:
    """`read(model, inputs)` gives pooled features `[b, num_features]`; `places` is the table.

    `blocks` are the module names of the blocks from bottom to top, `labels` what people call them: 0, 1, ... or
    stage.block. `num_prefix_tokens` stand before the patches (CLS, registers); prompts go behind them.
    `refused` says of a position that this family lacks why. `is_causal`: a token sees those before it alone; `rotary` is the
    module that makes `position_embeddings` of the blocks out of positions, if they take any, `relative` the attention that makes
    the bias that the blocks of the first stack add to their scores, and `unembedding` gives a score of every token of the
    vocabulary, if the network has it. `new_cache()` is an input in which it keeps what it has read of a text, so that the next
    tokens can follow alone. `decoder` is the first block of a decoder that stands behind an encoder; then labels are enc.block
    and dec.block. `towers` are two networks in one, those of images and of texts, by their parts of its names and blocks; then labels
    are image.block and text.block, `similarity` are the scale and the bias that make a score of a cosine, and `texts` the classes that
    images are compared with (see `peftlab.backbone.pair`). `entry` is the norm that tokens pass before the first block.
    """

    model: nn.Module
    name: str
    blocks: tuple[str, ...]
    labels: tuple[str, ...]
    num_prefix_tokens: int
    places: dict[Site, Place]
    outside: tuple[str, ...]  # parameters that belong to no block: embeddings, the last norm
    input_spec: InputSpec | TextSpec
    num_features: int
    hash: str
    refused: dict[str, str] = field(default_factory=dict)
    read: Callable[[nn.Module, dict[str, Tensor]], Tensor] = only_input
    is_causal: bool = False
    rotary: str | None = None
    relative: str | None = None
    unembedding: nn.Module | None = None
    new_cache: Callable[[], Any] | None = None
    decoder: int | None = None
    towers: "tuple[Backbone, ...]" = ()
    similarity: Tensor | None = None
    texts: ClassTexts | None = None
    entry: str | None = None

    def features(self, inputs: dict[str, Tensor], weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Pooled features, `[b, num_features]`; `weights` take the place of the network's own of their names.

        Of clips the mean over the features of their frames, each of which is read as a picture.
        """
        return mean_over_frames(self._read(frames_of(inputs), weights), inputs)

    def _read(self, inputs: dict[str, Tensor], weights: Mapping[str, Tensor] | None) -> Tensor:
        if not weights:
            return self.read(self.model, inputs)
        named = {f"model.{name}": value for name, value in weights.items()}
        return functional_call(_Reader(self.model, self.read), named, (inputs,))

    @staticmethod
    def num_frames(inputs: dict[str, Tensor]) -> int:
        """Frames of each item; 1 of what is no clip."""
        return num_frames_of(inputs)

    @staticmethod
    def masks(inputs: dict[str, Tensor]) -> Masks:
        """Which tokens of texts are no padding, and which of them say what is asked."""
        return masks_of(inputs)

    def masks_at(self, inputs: dict[str, Tensor]) -> Callable[[Site], Masks]:
        """Those of what stands at a site: in a decoder behind an encoder those of what it says, where it does not read the encoder."""
        if self.towers:
            return self._masks_of_texts(inputs)
        text = self.masks(inputs)
        if self.decoder is None:
            return lambda site: text
        first, said = self.decoder, said_of(inputs)[1]
        return lambda site: text if site.block < first or site.position in ("xk", "xv") else Masks(said, said)

    def _masks_of_texts(self, inputs: dict[str, Tensor]) -> Callable[[Site], Masks]:
        first, images = self.towers[0].depth, next(iter(inputs.values()))
        rows = {} if self.texts is None else self.texts.rows(len(images), images.device)
        text, none = masks_of(rows), Masks(None, None)
        return lambda site: none if site.block < first else text

    def prefix_at(self, site: Site) -> int:
        """How many tokens stand before the prompts at a site."""
        if not self.towers:
            return self.num_prefix_tokens
        return self.towers[site.block >= self.towers[0].depth].num_prefix_tokens

    def context(self, inputs: dict[str, Tensor]) -> Context | None:
        """Where the contexts of class names stand, of two towers with classes that have one."""
        images = next(iter(inputs.values()))
        return None if self.texts is None else self.texts.context(len(images), images.device)

    @staticmethod
    def has_cache(inputs: dict[str, Tensor]) -> bool:
        """Whether a cache is among them."""
        return CACHE in inputs

    def num_heads(self, block: int) -> int:
        """Attention heads of a block; 1 where its attention is of a kind of its own."""
        place = self.places.get(Site(block, "kv"))
        if place is None:
            return 1
        attention = self.model.get_submodule(place.input.module)
        owners = (attention, getattr(attention, "config", None))
        return next((int(getattr(at, name)) for at in owners for name in NUM_HEADS if hasattr(at, name)), 1)

    def num_key_heads(self, block: int) -> int:
        """Heads of k and v of a block, each of which several heads of q may share."""
        heads, keys = self.num_heads(block), self.places.get(Site(block, "kv"))
        out = self.places.get(Site(block, "out"))
        return heads if keys is None or out is None else heads * keys.num_out // out.num_in

    def image_spec(self, asked: str) -> InputSpec:
        """What it expects of pictures, for what was `asked`.

        Raises:
            UserError: if it reads texts.
        """
        if not isinstance(self.input_spec, InputSpec):
            raise UserError(f"{asked} is for networks that read images, and {self.name} reads texts")
        return self.input_spec

    def text_spec(self, asked: str) -> TextSpec:
        """What it expects of texts, for what was `asked`.

        Raises:
            UserError: if it reads pictures.
        """
        if not isinstance(self.input_spec, TextSpec):
            raise UserError(f"{asked} is for networks that read texts, and {self.name} reads images")
        return self.input_spec

    @property
    def num_weights(self) -> int:
        """Parameters of the frozen network."""
        return sum(value.numel() for value in self.model.parameters())

    @property
    def depth(self) -> int:
        """How many blocks there are."""
        return len(self.blocks)

    @property
    def positions(self) -> tuple[str, ...]:
        """The positions that at least one block has."""
        own = {site.position for site in self.places}
        return tuple(name for name in POSITIONS if name in own)

    def place(self, site: Site) -> Place:
        """The ports of `site`.

        Raises:
            UserError: if this backbone has no such place, with the places that it has.
        """
        if site not in self.places:
            if site.position in self.refused:
                raise UserError(
                    f"placement: {self.name} has no {site.position}: {self.refused[site.position]}"
                )
            legal = sorted({place.position for place in self.places if place.block == site.block})
            raise UserError(
                f"placement: {self.name} has no place {site}; legal in block {site.block}: {', '.join(legal)}"
            )
        return self.places[site]


class _Reader(nn.Module):
    """`read` as the forward of a module, since only a module's call can have other weights."""

    def __init__(self, model: nn.Module, read: Callable[[nn.Module, dict[str, Tensor]], Tensor]) -> None:
        super().__init__()
        self.model, self._read = model, read

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return self._read(self.model, inputs)
