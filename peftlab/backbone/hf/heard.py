"""What a network keeps of texts that it reads on, token for token."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass
class Heard:
    """transformers' cache of the blocks; behind an encoder also what it gave, `[b, t, d]`, and what of it is no padding, `[b, t]`."""

    cache: Any
    encoded: Tensor | None = None
    mask: Tensor | None = None

    def select(self, rows: Tensor) -> None:
        """Keep these rows of the batch alone."""
        self.cache.batch_select_indices(rows)
        if self.encoded is not None and self.mask is not None:
            self.encoded, self.mask = self.encoded[rows], self.mask[rows]

    def keeps(self, num_tokens: int) -> bool:
        """Whether it keeps all tokens of a text so long, and not the last ones alone."""
        windows = (getattr(layer, "sliding_window", None) for layer in _layers(self.cache))
        return all(window is None or num_tokens < window for window in windows)

    def join(self, others: list["Heard"]) -> None:
        """Put the rows of others, whose texts are no longer, behind its own: padding is put behind their tokens, which all `keep`."""
        each = [self, *others]
        for layers in zip(*(_layers(own.cache) for own in each), strict=True):
            layers[0].keys = _stacked([layer.keys for layer in layers], axis=2)
            layers[0].values = _stacked([layer.values for layer in layers], axis=2)
        if self.encoded is not None:
            self.encoded = _stacked([own.encoded for own in each], axis=1)
            self.mask = _stacked([own.mask for own in each], axis=1)


def _stacked(parts: list[Any], axis: int) -> Tensor:
    """Row behind row; zeros behind those that are shorter than the first along an axis."""
    longest, behind = parts[0].shape[axis], (0, 0) * (parts[0].dim() - 1 - axis)
    return torch.cat([F.pad(part, (*behind, 0, longest - part.shape[axis])) for part in parts])


def _layers(cache: Any) -> Iterator[Any]:
    """Of each block; behind an encoder those of its own tokens, and then those across."""
    for own in (getattr(cache, "self_attention_cache", cache), getattr(cache, "cross_attention_cache", None)):
        yield from own.layers if own is not None else []
