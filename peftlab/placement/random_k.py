"""placement=random_k: sites by chance, the baseline of every rule that chooses."""

import hashlib
from collections.abc import Sequence

from peftlab.option import NonNegativeInt, PositiveInt
from peftlab.placement.cell import Cells
from peftlab.placement.ranking import among, largest
from peftlab.site import Site


def random_k(
    candidates: Sequence[Site],
    labels: Sequence[str],
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    seed: NonNegativeInt,
) -> Cells:
    """`keep` of the candidates at `depth` and `position`, every set of that size equally likely.

    A site's rank is a hash of (seed, site). So two draws of one seed are paired: the sites for a smaller `keep` are
    among those for a larger one, and other candidates do not change which of two sites comes first.

    Raises:
        UserError: for a depth or position that no candidate has, or too large a `keep`.
    """
    sites = among(candidates, labels, depth=depth, position=position, keep=keep)
    return largest({site: _rank(seed, site) for site in sites}, keep, rule="random_k") if sites else {}


def _rank(seed: int, site: Site) -> float:
    """Uniform in (0, 1), the same on every machine. No torch: a config is checked without it."""
    text = f"{seed}/placement/{site}"
    return (1 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")) / (1 + 2**48)
