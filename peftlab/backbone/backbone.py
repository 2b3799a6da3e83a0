"""A frozen network and its table of places that can be read and written."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from peftlab.errors import UserError
from peftlab.input_spec import InputSpec
from peftlab.site import Site


@dataclass(frozen=True)
class Port:
    """One tensor of one module call. `part=(0, 3)` is the first third of its last axis: q of a fused qkv."""

    module: str
    side: Literal["in", "out"]
    part: tuple[int, int] = (0, 1)


@dataclass(frozen=True)
class Place:
    """The ports of one sub-module of one block, and their widths.

    `input` is what the sub-module reads, `output` what it writes; `residual` is the stream before its norm
    (sub-layers only). `parameters` are the names of the weights that belong to it, each with its part of axis 0.
    """

    input: Port
    output: Port
    residual: Port | None
    num_in: int
    num_out: int
    parameters: tuple[tuple[str, tuple[int, int]], ...]


@dataclass(frozen=True)
class Backbone:
    """`model(images)` gives pooled features `[b, num_features]`; `places` is the table, `depth` the block count."""

    model: nn.Module
    name: str
    depth: int
    places: dict[Site, Place]
    outside: tuple[str, ...]  # parameters that belong to no block: embeddings, the last norm
    input_spec: InputSpec
    num_features: int
    hash: str

    def place(self, site: Site) -> Place:
        """The ports of `site`.

        Raises:
            UserError: if this backbone has no such place, with the places that it has.
        """
        if site not in self.places:
            legal = sorted({place.position for place in self.places if place.block == site.block})
            raise UserError(
                f"placement: {self.name} has no place {site}; legal in block {site.block}: {', '.join(legal)}"
            )
        return self.places[site]
