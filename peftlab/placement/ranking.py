"""What placement=random_k, sensitivity, gradient_norm and activation_energy share: candidates in, the best of them out."""

import math
from collections.abc import Mapping, Sequence

from peftlab.errors import UserError
from peftlab.placement.depth import Entry, parse_depth
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.position import parse_position
from peftlab.site import POSITIONS, Site, site_order


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
    blocks = parse_depth(depth, ground.labels, key="placement.depth")
    names = parse_position(position, [name for name in POSITIONS if name in own], key="placement.position")
    sites = [site for site in ground.candidates if site.block in blocks and site.position in names]
    if sites and keep > len(sites):
        raise UserError(
            f"placement.keep={keep} is more than the {len(sites)} sites to choose from; legal: 1 to {len(sites)}"
        )
    return sites


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
    ordered = sorted(scores, key=lambda site: (-scores[site], *site_order(site)))
    return Placement({site: {} for site in sorted(ordered[:keep], key=site_order)}, dict(scores))
