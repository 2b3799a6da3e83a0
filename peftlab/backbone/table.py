"""What a family's table says of a network: where its blocks are, what they are called, what can be read and written."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from peftlab.backbone.backbone import Place
from peftlab.errors import UserError
from peftlab.site import Site


class Table(NamedTuple):
    """The fields of `Backbone` that depend on the family alone."""

    blocks: tuple[str, ...]
    labels: tuple[str, ...]
    num_prefix_tokens: int
    places: dict[Site, Place]
    outside: tuple[str, ...]
    refused: dict[str, str]

    @property
    def depth(self) -> int | list[int] | None:
        """backbone.depth in YAML."""
        return depth_of(self.labels)


def depth_of(labels: Sequence[str]) -> int | list[int] | None:
    """How many blocks there are, or how many in each stage where labels are stage.block; of two stacks, for which
    backbone.depth has no word, None."""
    if not labels[0][0].isdigit():
        return None
    if "." not in labels[0]:
        return len(labels)
    return list(Counter(label.split(".")[0] for label in labels).values())


def check_depth(depth: int | list[int] | None, table: Table, name: str) -> None:
    """Raises UserError if the model `name` is not as deep as backbone.depth promises."""
    if depth is not None and table.depth is None:
        raise UserError(
            f"backbone.depth={depth}, but {name} has an encoder and a decoder; legal: null, with enc and dec in placement.depth"
        )
    if depth is not None and depth != table.depth:
        raise UserError(
            f"backbone.depth={depth}, but {name} has {table.depth} blocks; set backbone.depth={table.depth} or null"
        )
