"""What a split holds its items in, and what makes a network's inputs of them: all that batches know of a kind of data."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor


class Contents(NamedTuple):
    """The items of a source's split as they are stored, by row id, without their labels.

    `read(row)` gives `sizes[row]` bytes, the same for the same item; `describe(row)` names it for people.
    """

    sizes: Int64[np.ndarray, " n"]
    read: Callable[[int], bytes]
    describe: Callable[[int], str]


@runtime_checkable
class Items(Protocol):
    """The items of one split of a source, by row id. `fingerprint` is a hash of their content, `noun` what people call them."""

    fingerprint: str
    noun: str

    def take(self, rows: Int64[np.ndarray, " b"]) -> Any:
        """The items `rows`, as the transforms of this kind of data take them."""

    def keep(self, rows: Int64[np.ndarray, " b"]) -> None:
        """Hold `rows` ready in memory, where that is possible."""


@runtime_checkable
class Transform(Protocol):
    """From items to the network's inputs by name. `text` says in one line what is done."""

    @property
    def text(self) -> str:
        """One line for people."""

    def __call__(self, items: Any, generators: Iterable[torch.Generator] = (), /) -> dict[str, Tensor]:
        """`generators` gives one generator per item, from which alone its random numbers come."""
