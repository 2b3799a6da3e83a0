"""placement=cells: any set of sites, each with options of its own."""

from collections.abc import Sequence
from typing import Any

from peftlab.errors import UserError
from peftlab.placement.cell import Cells
from peftlab.placement.depth import parse_depth
from peftlab.placement.position import parse_position
from peftlab.site import Site


def cells(num_blocks: int, legal: Sequence[str], *, cells: dict[str, Any] | None) -> Cells:
    """`{"0-5.q": {rank: 8}, "7.mlp1": {rank: 4, scale: 0.5}}`: depth, a dot, position, and the options there.

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
        for block in parse_depth(depth, num_blocks, key=f"placement.cells: {key}: depth"):
            for name in parse_position(position, legal, key=f"placement.cells: {key}: position"):
                site = Site(block, name)
                if site in found:
                    raise UserError(f"placement.cells names the site {site} twice, the second time in {key}")
                found[site] = dict(options or {})
    return dict(sorted(found.items(), key=lambda item: (item[0].block, legal.index(item[0].position))))
