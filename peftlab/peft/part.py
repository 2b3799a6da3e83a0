"""A method as a sum of parts: what every peft YAML says beside the options of its functional form."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from peftlab.option import Choice, PositiveFloat, Range
from peftlab.site import CONTEXT, HEADS, LINEAR, NORM, STREAM, SUBLAYER, VECTOR

Insertion = Literal[
    "parallel",
    "sequential",
    "residual",
    "input",
    "before",
    "over_time",
    "heads",
    "concat",
    "context",
    "conditional",
    "coupled",
    "in_place",
]
Entry = int | float | str
# which positions an insertion can have
INSERTIONS = {
    "parallel": (*LINEAR, *SUBLAYER, *VECTOR),
    "sequential": (*LINEAR, *SUBLAYER, *NORM, *VECTOR),
    "residual": SUBLAYER,
    "input": (*LINEAR, *STREAM),
    "before": NORM,
    "over_time": NORM[:1],
    "heads": HEADS,
    "concat": STREAM,
    "context": CONTEXT,
    "conditional": CONTEXT,
    "coupled": (*STREAM, *CONTEXT),
    "in_place": (*LINEAR, *NORM),
}


@dataclass(frozen=True)
class PartOptions:
    """`positions` and `depth` it can take, `insertion`, and the published `scale` (used where scaling.value is null).

    insertion, after He et al. 2022 (arXiv:2110.04366, table 1): `parallel` reads the input of the sub-module and adds to
    its output; `sequential` reads its output; `residual` reads the stream before the norm of the sub-layer; `input`
    reads and adds to what a layer or a block takes; `before` reads and adds to the stream before a norm, and `over_time`
    adds to it what it makes of the sub-layer behind the norm, run over the frames of each token of a clip; `heads` acts on
    the output of the attention product; `concat` puts prompts among the tokens; `context` writes the tokens around the name
    of a class, `conditional` reads the vector of an image for it, and `coupled` puts prompts among the tokens of images beside
    it; `in_place` selects weights of the backbone itself, so it has no delta, no scale and no gamma. A part with a delta and
    `scale: null` stands outside scaling: its factor is 1, no gamma and no gate.
    """

    positions: list[str]
    depth: Entry | list[Entry]
    insertion: Insertion
    scale: PositiveFloat | None


@dataclass(frozen=True)
class Hybrid:
    """A sum of parts, each a whole peft node; `cuts` are numbers that its parts share by interpolation."""

    parts: dict[str, Any]
    cuts: dict[str, Annotated[float | int, Range(0, 4096)]]


@dataclass(frozen=True)
class Part:
    """One part of a method, resolved. `path` is how the command line says it: `peft`, or `peft.parts.NAME`.

    `form` is a delta's functional form or a selection of weights, `traits` are the names of its class and those above it
    (Delta, Elastic, Mask, ...), and `width_key` is the option that sets how many parameters it has, if there is one.
    """

    name: str
    path: str
    form: Choice
    positions: tuple[str, ...]
    depth: Entry | list[Entry]
    insertion: Insertion
    scale: float | int | None
    traits: frozenset[str]
    width_key: str | None

    @property
    def is_selection(self) -> bool:
        """Whether it trains weights of the backbone itself."""
        return "Selection" in self.traits

    @property
    def is_temporal(self) -> bool:
        """Whether it acts over the frames of clips."""
        return "Temporal" in self.traits or self.insertion == "over_time"

    @property
    def is_mask(self) -> bool:
        """Whether it trains entries that training data choose."""
        return "Mask" in self.traits
