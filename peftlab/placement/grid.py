"""placement=grid: block depth x intra-block position."""

from peftlab.placement.depth import parse_depth
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.position import parse_position
from peftlab.site import Site


def grid(
    ground: Ground,
    *,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
) -> Placement:
    """Every named position of every named block.

    Raises:
        UserError: for a depth outside the backbone or a position the method cannot take.
    """
    blocks = parse_depth(depth, ground.labels, key="placement.depth", tower=ground.tower)
    positions = parse_position(position, ground.positions, key="placement.position")
    return Placement({Site(block, name): {} for block in blocks for name in positions})
