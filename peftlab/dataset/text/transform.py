"""From token ids to the backbone's inputs, padded to the longest text of a batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from peftlab.dataset.text.tokens import Ids
from peftlab.inputs.text import ANSWERS


@dataclass(frozen=True)
class TextTransform:
    """`inputs` are the names of what the network reads; padding is behind the text."""

    inputs: tuple[str, ...]
    pad_id: int
    text: str

    def __call__(
        self, items: list[Ids], generators: Iterable[torch.Generator] = (), /
    ) -> dict[str, Int64[Tensor, "b t"]]:
        """`generators` are not asked: nothing is drawn."""
        shape = len(items), max(len(item.ids) for item in items)
        made = {
            "input_ids": torch.full(shape, self.pad_id, dtype=torch.int64),
            "attention_mask": torch.zeros(shape, dtype=torch.int64),
            "token_type_ids": torch.zeros(shape, dtype=torch.int64),
        }
        for row, item in enumerate(items):
            length = len(item.ids)
            made["input_ids"][row, :length] = torch.from_numpy(item.ids).long()
            made["attention_mask"][row, :length] = 1
            made["token_type_ids"][row, :length] = torch.from_numpy(item.types).long()
        made[ANSWERS] = made["token_type_ids"]
        return {name: made[name] for name in self.inputs}
