"""The test split of a source that has none: a share of each class, always the same one."""

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class
from peftlab.errors import UserError

CUT_SEED = 0


def held_out(
    labels: Int64[np.ndarray, " n"], num_classes: int, fraction: float | int, stream: str
) -> Int64[np.ndarray, " m"]:
    """Sorted positions of round(fraction * n_c) items of each class, at least one. A class with one item trains.

    No position if no class has two.

    Raises:
        UserError: for a fraction that leaves a side empty.
    """
    if not 0 < fraction < 1:
        raise UserError(
            f"dataset.source.test_fraction={fraction} leaves a split empty; legal: above 0, below 1"
        )
    counts = np.bincount(labels, minlength=num_classes).astype(np.int64)
    # A class with one item is absent from the test, which the metrics count.
    drawn = np.minimum(np.maximum(share_per_class(counts, fraction), 1), np.maximum(counts - 1, 0))
    return draw_per_class(labels, drawn, CUT_SEED, stream)
