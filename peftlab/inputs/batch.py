"""What a network is given at once: the inputs of some items, what they should give, and which items they are."""

from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor


class Batch(NamedTuple):
    """`inputs` by name, items on axis 0 (`{"images": [b, 3, h, w]}`); `targets` of each item; row ids in the source's split."""

    inputs: dict[str, Tensor]
    targets: Tensor
    rows: Int64[Tensor, " b"]

    def to(self, device: torch.device) -> "Batch":
        """Inputs and targets on a device; row ids stay where they are."""
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        return Batch(inputs, self.targets.to(device), self.rows)
