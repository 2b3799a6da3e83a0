"""placement=cells: any set of sites, each with options of its own."""

from typing import Any

from peftlab.errors import UserError
from peftlab.placement.depth import parse_depth
from peftlab.placement.ground import Cells, Ground, Placement
from peftlab.placement.position import parse_position
from peftlab.site import Site, site_order


def cells(ground: Ground, *, cells: dict[str, Any] | None) -> Placement:
    """`{"0-5.q": {rank: 8}, "7.mlp1": {rank: 4, scale: 0.5}}`: depth, a dot, position, and the options there.

    A depth may have dots of its own: "2.10.q" is q of block 10 in stage 2.

    Raises:
        UserError: for a key that is not `depth.position`, a site named twice, or an empty mapping.
    """
    if not cells:
        raise UserError(
            f'placement.cells={cells} names no site; legal: {{"0-5.q": {{rank: 8}}, "7.mlp1": {{}}}}'
        )
    found: Cells = {}
    for key, options in cells.items():
        depth, dot, position = str(key).rpartition(".")
        if not dot:
            raise UserError(f'placement.cells has the key {key}; legal: depth.position, as in "0-5.q"')
        if options is not None and not isinstance(options, dict):
            raise UserError(f"placement.cells.{key}={options} is not a mapping; legal: {{rank: 8}}, or {{}}")
        blocks = parse_depth(depth, ground.labels, key=f"placement.cells: {key}: depth", tower=ground.tower)
        names = parse_position(position, ground.positions, key=f"placement.cells: {key}: position")
        for site in (Site(block, name) for block in blocks for name in names):
            if site in found:
                raise UserError(f"placement.cells names the site {site} twice, the second time in {key}")
            found[site] = dict(options or {})
    return Placement({site: found[site] for site in sorted(found, key=site_order)})
