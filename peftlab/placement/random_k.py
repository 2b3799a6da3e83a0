"""placement=random_k: sites by chance, the baseline of every rule that chooses."""

import hashlib

from peftlab.option import PositiveInt, Seed
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, largest
from peftlab.site import Site


def random_k(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    seed: Seed,
) -> Placement:
    """`keep` of the candidates at `depth` and `position`, every set of that size equally likely.

    A site's rank is a hash of (seed, site). So two draws of one seed are paired: the sites for a smaller `keep` are
    among those for a larger one, and other candidates do not change which of two sites comes first.

    Raises:
        UserError: for a depth or position that no candidate has, or too large a `keep`.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    ranks = {site: _rank(seed, site) for site in sites}
    return Placement(largest(ranks, keep, rule="random_k").cells if sites else {})


def _rank(seed: int, site: Site) -> float:
    """Uniform in (0, 1), the same on every machine. No torch: a config is checked without it."""
    text = f"{seed}/placement/{site}"
    return (1 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")) / (1 + 2**48)
