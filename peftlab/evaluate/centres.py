"""Where the features of each class lie: how far its centre is from those of the others, and how far its items are from each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor
from torch.nn.functional import normalize


@dataclass
class Centres:
    """Sums over the items of each class: of their features, and of these at length 1."""

    total: Int64[Tensor, " c"]
    sums: Float64[Tensor, "c d"]
    units: Float64[Tensor, "c d"]

    @classmethod
    def zeros(cls, num_classes: int, num_features: int) -> "Centres":
        """Before the first item."""
        shape = (num_classes, num_features)
        sums, units = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
        return cls(torch.zeros(num_classes, dtype=torch.int64), sums, units)

    def update(self, features: Float[Tensor, "b d"], label: Int[Tensor, " b"]) -> None:
        """Add one batch, in place."""
        features, label = features.double().cpu(), label.cpu()
        self.total += torch.bincount(label, minlength=len(self.total))
        self.sums.index_add_(0, label, features)
        self.units.index_add_(0, label, normalize(features, dim=-1))

    def distance(self) -> Float64[Tensor, " c"]:
        """1 - cos(m_c, m_k), mean over all other classes k; m_c is the mean feature of class c.

        NaN for a class without an item, and where there is no other.

        Source: MetaPEFT (Tian et al. 2025), fig. 1b, which names a cosine distance between class centres. Differs: it does not say
        of which pairs; here of each class of a group with every class.
        """
        is_there = self.total > 0
        centres = normalize(self.sums[is_there], dim=-1)
        num_others = len(centres) - 1
        found = torch.full((len(self.total),), nan, dtype=torch.float64)
        if num_others > 0:
            found[is_there] = (num_others + 1 - centres @ centres.sum(0)) / num_others
        return found

    def variance(self) -> Float64[Tensor, " c"]:
        """Mean square distance of the items of a class, at length 1, to their mean: 1 - |mean|^2. NaN without an item."""
        return 1 - (self.units / self.total.unsqueeze(-1)).square().sum(-1)


def centre_names(groups: Iterable[str]) -> tuple[str, ...]:
    """The keys of `centre_metrics`."""
    return tuple(f"{name}_{kind}" for name in ("mean", *groups) for kind in ("distance", "variance"))


def centre_metrics(centres: Centres, groups: dict[str, list[int]]) -> dict[str, float]:
    """`mean_distance`, `tail_distance`, `tail_variance`, ...: means over the classes of a group that have an item."""
    values = centres.distance(), centres.variance()
    every = (range(len(centres.total)), *groups.values())
    means = (float(value[list(classes)].nanmean()) for classes in every for value in values)
    return dict(zip(centre_names(groups), means, strict=True))
