"""What the form of a delta is told: about its site, once, and about the forward that it is in, each time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.site import LINEAR, Site


class Words(NamedTuple):
    """What stands at the context of class names before anything is learned, and how many classes there are."""

    vectors: Float[Tensor, "m d"]
    num_classes: int


@runtime_checkable
class Context(Protocol):
    """Where the tokens of the context stand in each text of a forward, and how many tokens its texts have."""

    @property
    def positions(self) -> Int64[Tensor, "n m"]:
        """By text."""

    @property
    def length(self) -> int:
        """In tokens, padding included."""


@dataclass(frozen=True)
class View:
    """A site as its delta sees it: the widths of what it reads and writes, and the frozen layer that it acts on.

    `weight` are the rows of the linear layer that the site stands beside (q of a fused qkv has a third of them): it reads
    what the layer takes and writes what these rows give. None where there is no such layer. `shared` is the module of the
    whole part, for the forms that ask for one. `words` are those of a context (position `context`).
    `block` is counted in its tower, and `entry` is the norm of the tokens before the first one, where there is one.
    `num_prefix_tokens` (the class token, registers) stand before the patches.
    """

    num_in: int
    num_out: int
    num_heads: int = 1
    weight: Float[Tensor, "d_out d_in"] | None = None
    shared: nn.Module | None = None
    words: Words | None = None
    position: str = ""
    block: int = 0
    entry: nn.Module | None = None
    num_prefix_tokens: int = 0

    def rows(self) -> Float[Tensor, "d_out d_in"]:
        """The weight, for the forms that are made from it.

        Raises:
            UserError: if there is none.
        """
        if self.weight is None:
            raise UserError(
                "peft: its form is made from the weight of a linear layer, and a site stands beside none; legal: insertion=parallel"
                f" at {', '.join(LINEAR)}"
            )
        return self.weight


class Now(NamedTuple):
    """What a delta has to know of one forward.

    `rng` is the stream of dropout, None the global one. `width` says how much of an elastic or nested delta works, its
    first so many ranks, hidden units or prompts: None is all of it, and 0 switches the site off, as if it were not there.
    `dropout` false keeps dropout off while training. `num_items` is how many items share what is no item's own (prompts).
    `context` is where the tokens around class names stand.
    """

    training: bool = False
    rng: torch.Generator | None = None
    width: int | None = None
    dropout: bool = True
    num_items: int = 1
    context: Context | None = None

    def drops(self, p: float) -> bool:
        """Whether dropout of probability p acts."""
        return self.training and self.dropout and p > 0


EVAL = Now()
Widths = Mapping[Site, int]  # `Now.width` of some sites
