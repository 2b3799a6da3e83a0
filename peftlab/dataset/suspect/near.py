"""Items of two splits that are almost the same: their features point in almost the same direction."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

MAX_COSINES = 2**25  # that are in memory at once


class Pair(NamedTuple):
    """Item `other` of the second split and the item `one` of the first that is most like it."""

    one: int
    other: int
    cosine: float


def near_pairs(first: Float[Tensor, "n d"], second: Float[Tensor, "m d"], *, at_least: float) -> list[Pair]:
    """For each item of `second` the item of `first` with the largest cosine, where that is `at_least`; the most alike first.

    Features are taken from their mean over `first`: what all items share says nothing.
    """
    centre = first.mean(0)
    known, asked = normalize(first - centre, dim=1), normalize(second - centre, dim=1)
    chunk = max(1, MAX_COSINES // len(known))
    found = [(part @ known.T).max(1) for part in asked.split(chunk)]
    cosines = torch.cat([best.values for best in found]).tolist()
    nearest = torch.cat([best.indices for best in found]).tolist()
    pairs = [
        Pair(one, other, cosine)
        for other, (one, cosine) in enumerate(zip(nearest, cosines, strict=True))
        if cosine >= at_least
    ]
    return sorted(pairs, key=lambda pair: -pair.cosine)


def correlation(first: Float[Tensor, " p"], second: Float[Tensor, " p"]) -> float:
    """Pearson's of the pixels of two pictures; 0 where one is of one shade."""
    x, y = first - first.mean(), second - second.mean()
    norms = float(x.norm() * y.norm())
    return float(x @ y) / norms if norms else 0.0
