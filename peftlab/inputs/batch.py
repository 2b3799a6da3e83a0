"""What a network is given at once: the inputs of some items, what they should give, and which items they are."""

from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from peftlab.inputs.text import ANSWERS

IGNORED = -100  # no target: torch's and Hugging Face's word for it


def targets_of(inputs: dict[str, Tensor], classes: Int64[Tensor, " b"]) -> Int64[Tensor, " *shape"]:
    """What a network shall give for these items: the tokens of their answers, `[b, t]` and IGNORED elsewhere, or, where there
    are no answers, their classes."""
    answers = inputs.get(ANSWERS)
    return classes if answers is None else inputs["input_ids"].masked_fill(answers == 0, IGNORED)


class Mixed(NamedTuple):
    """Each item has another one in it, whose target this is; `share` is that of the item itself."""

    targets: Tensor
    share: float


class Batch(NamedTuple):
    """`inputs` by name, items on axis 0 (`{"images": [b, 3, h, w]}`); `targets` of each item; row ids in the source's split."""

    inputs: dict[str, Tensor]
    targets: Tensor
    rows: Int64[Tensor, " b"]
    mixed: Mixed | None = None

    def to(self, device: torch.device) -> "Batch":
        """Inputs and targets on a device; row ids stay where they are."""
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        mixed = self.mixed and self.mixed._replace(targets=self.mixed.targets.to(device))
        return Batch(inputs, self.targets.to(device), self.rows, mixed)
