"""How much each block of the frozen backbone changes the residual stream."""

import math
from collections.abc import Collection, Iterable

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone, Port
from peftlab.build.watch import watch
from peftlab.site import Site


def residual_norms(
    backbone: Backbone, blocks: Collection[int], batches: Iterable[dict[str, Tensor]]
) -> dict[int, float]:
    """E over tokens of ||y - x|| / ||x||, x `[channels]` what enters a block and y what leaves it.

    Padding and tokens that are zero do not count; without any token left it is nan.

    Raises:
        UserError: if a block is never called.
    """
    numbers = {backbone.blocks[block]: block for block in blocks}
    ports = {
        Port(name, side): Site(block, "tokens") for name, block in numbers.items() for side in ("in", "out")
    }
    entered: dict[int, Tensor] = {}
    sums: dict[int, Tensor] = {}
    counts = dict.fromkeys(blocks, 0)

    def add(port: Port, value: Tensor) -> None:
        block = numbers[port.module]
        if port.side == "in":
            entered[block] = value.double()
            return
        before = entered.pop(block)
        norms = before.norm(dim=-1)
        changes = (value.double() - before).norm(dim=-1)[norms > 0] / norms[norms > 0]
        sums[block] = sums.get(block, torch.zeros_like(changes.sum())) + changes.sum()
        counts[block] += len(changes)

    watch(backbone, ports, batches, add)
    return {block: sums[block].item() / count if count else math.nan for block, count in counts.items()}
