"""placement=grid: block depth x intra-block position."""

from collections.abc import Sequence

from peftlab.placement.cell import Cells
from peftlab.placement.depth import parse_depth
from peftlab.placement.position import parse_position
from peftlab.site import Site


def grid(
    labels: Sequence[str],
    legal: Sequence[str],
    *,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
) -> Cells:
    """Every named position of every named block.

    Raises:
        UserError: for a depth outside the backbone or a position the method cannot take.
    """
    blocks = parse_depth(depth, labels, key="placement.depth")
    positions = parse_position(position, legal, key="placement.position")
    return {Site(block, name): {} for block in blocks for name in positions}
