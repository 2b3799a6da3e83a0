"""What a selective method chooses from, and what it gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from peftlab.site import Site


class Weight(NamedTuple):
    """A parameter of the backbone, or the slice of axis 0 that belongs to one site: `(0, 3)` is q of a fused qkv."""

    name: str
    slice: tuple[int, int]
    value: Tensor
    site: Site | None  # None outside the blocks

    def of(self, whole: Tensor) -> Tensor:
        """The same slice of another tensor of the parameter's shape."""
        return whole.chunk(self.slice[1])[self.slice[0]]


@dataclass(frozen=True)
class Weights:
    """`inside` the placed sites, and `outside` all blocks (embeddings, the last norm).

    `gradients(n)` gives, for each of the first n training items of a fixed random order, the gradient of the loss at
    the start by parameter name; `class_gradients(n)`, for each of them and each class y, sqrt(p(y|x)) d log p(y|x).
    `num_heads` is by block; `num_backbone` and `num_head` count parameters.
    """

    inside: list[Weight]
    outside: list[Weight]
    num_heads: dict[int, int]
    num_backbone: int
    num_head: int
    gradients: Callable[[int], Iterator[dict[str, Tensor]]]
    class_gradients: Callable[[int], Iterator[dict[str, Tensor]]]

    def candidates(self, outside_blocks: bool) -> list[Weight]:
        """All that can be chosen; those outside the blocks by option."""
        return [*self.inside, *(self.outside if outside_blocks else [])]


# a mask (true where it trains) in the shape of the weight's value, or None for all of it
Chosen = list[tuple[Weight, Tensor | None]]
