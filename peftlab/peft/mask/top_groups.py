"""The best groups of entries (heads, neurons) that a budget holds."""

from typing import NamedTuple

import torch
from torch import Tensor

from peftlab.peft.weights import Chosen, Weight


class Sliced(NamedTuple):
    """A weight that is cut along `axis` into the `num_groups` groups of its block."""

    weight: Weight
    axis: int
    num_groups: int

    @property
    def block(self) -> int:
        """The block of the weight's site."""
        assert self.weight.site is not None
        return self.weight.site.block

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


def group_sizes(slices: list[Sliced]) -> dict[int, int]:
    """How many entries a group has, by block."""
    sizes: dict[int, int] = {}
    for part in slices:
        sizes[part.block] = sizes.get(part.block, 0) + part.group_size
    return sizes


def top_groups(slices: list[Sliced], scores: list[Tensor], k: int) -> Chosen:
    """Whole groups in the order of their mean score, as long as they fit into k entries.

    A group that is too large for what is left is passed over; of equal scores, the lower block and index comes first.
    """
    sizes = group_sizes(slices)
    sums: dict[int, Tensor] = {}
    for part, values in zip(slices, scores, strict=True):
        total = part.by_group(values)
        sums[part.block] = sums[part.block] + total if part.block in sums else total
    blocks = sorted(sums)
    order = (
        torch.cat([sums[block] / sizes[block] for block in blocks]).sort(descending=True, stable=True).indices
    )
    groups = [(block, index) for block in blocks for index in range(len(sums[block]))]
    kept = {block: torch.zeros(len(total), dtype=torch.bool) for block, total in sums.items()}
    for position in order.tolist():
        block, index = groups[position]
        if sizes[block] <= k:
            kept[block][index] = True
            k -= sizes[block]
    return [(part.weight, part.mask(kept[part.block])) for part in slices if kept[part.block].any()]
