"""The best groups of entries (heads, neurons) that a budget holds."""

from typing import NamedTuple

import torch
from torch import Tensor

from peftlab.peft.weights import Chosen, Weight
from peftlab.site import CROSS

Home = tuple[int, bool]


class Sliced(NamedTuple):
    """A weight that is cut along `axis` into the `num_groups` groups of its block, or of its block's attention to another stack."""

    weight: Weight
    axis: int
    num_groups: int

    @property
    def home(self) -> Home:
        """What has its groups: the block of the weight's site, and whether they are of the attention to another stack."""
        assert self.weight.site is not None
        return self.weight.site.block, self.weight.site.position in CROSS

    @property
    def group_size(self) -> int:
        """How many entries it adds to each group."""
        return self.weight.value.numel() // self.num_groups

    def by_group(self, values: Tensor) -> Tensor:
        """The sum of the values of each group."""
        return values.movedim(self.axis, 0).reshape(self.num_groups, -1).sum(1)

    def mask(self, kept: Tensor) -> Tensor:
        """True at the entries of the groups that are kept."""
        shape = [1] * self.weight.value.dim()
        shape[self.axis] = -1
        along = kept.repeat_interleave(self.weight.value.shape[self.axis] // self.num_groups)
        return along.view(shape).expand(self.weight.value.shape).clone()


def group_sizes(slices: list[Sliced]) -> dict[Home, int]:
    """How many entries a group has, by what has it."""
    sizes: dict[Home, int] = {}
    for part in slices:
        sizes[part.home] = sizes.get(part.home, 0) + part.group_size
    return sizes


def top_groups(slices: list[Sliced], scores: list[Tensor], k: int) -> Chosen:
    """Whole groups in the order of their mean score, as long as they fit into k entries.

    A group that is too large for what is left is passed over; of equal scores, the lower block and index comes first.
    """
    sizes = group_sizes(slices)
    sums: dict[Home, Tensor] = {}
    for part, values in zip(slices, scores, strict=True):
        total = part.by_group(values)
        sums[part.home] = sums[part.home] + total if part.home in sums else total
    homes = sorted(sums)
    order = torch.cat([sums[home] / sizes[home] for home in homes]).sort(descending=True, stable=True).indices
    groups = [(home, index) for home in homes for index in range(len(sums[home]))]
    kept = {home: torch.zeros(len(total), dtype=torch.bool) for home, total in sums.items()}
    for position in order.tolist():
        home, index = groups[position]
        if sizes[home] <= k:
            kept[home][index] = True
            k -= sizes[home]
    return [(part.weight, part.mask(kept[part.home])) for part in slices if kept[part.home].any()]
