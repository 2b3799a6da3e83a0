"""What the rules that keep some of many sites share: candidates in, the best of them out."""

import math
from collections.abc import Mapping, Sequence

from peftlab.errors import UserError
from peftlab.placement.depth import Entry, parse_depth
from peftlab.placement.ground import Cells, Ground, Placement
from peftlab.placement.position import parse_position
from peftlab.site import NORM, POSITIONS, Site, site_order


def among(
    ground: Ground,
    *,
    depth: Entry | Sequence[Entry],
    position: str | Sequence[str],
    keep: int,
) -> list[Site]:
    """The candidates at `depth` and `position`, in their order; at least `keep`, where any are known.

    Raises:
        UserError: for a depth or position that no candidate has, or too large a `keep`.
    """
    own = {site.position for site in ground.candidates}
    blocks = parse_depth(depth, ground.labels, key="placement.depth", tower=ground.tower)
    names = parse_position(position, [name for name in POSITIONS if name in own], key="placement.position")
    sites = [site for site in ground.candidates if site.block in blocks and site.position in names]
    if sites and keep > len(sites):
        raise UserError(
            f"placement.keep={keep} is more than the {len(sites)} sites to choose from; legal: 1 to {len(sites)}"
        )
    return sites


def check_matrices(sites: Sequence[Site], *, rule: str) -> None:
    """A weight matrix stands at every site, or at linear layers inside it.

    Raises:
        UserError: for a norm.
    """
    norms = [site.position for site in sites if site.position in NORM]
    if norms:
        legal = dict.fromkeys(site.position for site in sites if site.position not in NORM)
        raise UserError(
            f"placement={rule} scores weight matrices, and {norms[0]} has none; legal: "
            + (
                f"placement.position={', '.join(legal)}"
                if legal
                else "a method at linear layers, such as peft=lora"
            )
        )


def largest(scores: Mapping[Site, float], keep: int, *, rule: str) -> Placement:
    """The `keep` sites of the largest scores; the lower block, then the earlier position, where two are equal.

    Raises:
        UserError: if a score is not finite, or all are 0.
    """
    for site, score in scores.items():
        if not math.isfinite(score):
            raise UserError(
                f"placement={rule}: the score of {site} is {score}; legal: a network and a loss that are finite"
            )
    if not any(scores.values()):
        raise UserError(
            f"placement={rule}: every site has the score 0, as behind a head of zeros; legal: head.init=class_mean, random"
        )
    return _first(sorted(scores, key=lambda site: (-scores[site], *site_order(site))), scores, keep)


def smallest(scores: Mapping[Site, float], keep: int, *, rule: str) -> Placement:
    """The `keep` sites of the smallest scores, which may be infinite; where two are equal as in `largest`.

    Raises:
        UserError: if a score is no number.
    """
    for site, score in scores.items():
        if math.isnan(score):
            raise UserError(
                f"placement={rule}: the score of {site} is {score}; legal: a network that is finite, and weights that are not all 0"
            )
    return _first(sorted(scores, key=lambda site: (scores[site], *site_order(site))), scores, keep)


def _first(ordered: Sequence[Site], scores: Mapping[Site, float], keep: int) -> Placement:
    cells: Cells = {site: {} for site in sorted(ordered[:keep], key=site_order)}
    return Placement(cells, {site: scores[site] for site in ordered})
