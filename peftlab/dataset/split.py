"""A split of a data set: which rows of a source, and their labels."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.items import Items


@dataclass(frozen=True, eq=False)
class Split:
    """Item i is row `rows[i]` of `items`, with the class id `labels[i]`."""

    items: Items
    labels: Int64[np.ndarray, " n"]
    rows: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, positions: Int64[np.ndarray, " m"]) -> "Split":
        """The items at `positions` of this split, in that order; row ids stay those of the source."""
        return Split(self.items, self.labels[positions], self.rows[positions])

    def counts(self, num_classes: int) -> Int64[np.ndarray, " c"]:
        """Items per class, absent classes included as 0."""
        return np.bincount(self.labels, minlength=num_classes).astype(np.int64)

    def index_hash(self) -> str:
        """sha256 over the source's fingerprint, the row ids and the labels, in order."""
        digest = hashlib.sha256(self.items.fingerprint.encode())
        digest.update(self.rows.astype("<i8").tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()
