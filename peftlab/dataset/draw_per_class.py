"""Draw items class by class, each class from a random stream of its own."""

import numpy as np
import torch
from jaxtyping import Int64

from peftlab.stream import generator


def draw_per_class(
    labels: Int64[np.ndarray, " n"], num_drawn: Int64[np.ndarray, " c"], seed: int, *stream: str | int
) -> Int64[np.ndarray, " m"]:
    """Sorted positions of `num_drawn[c]` items of every class c, without replacement.

    A class's draw depends on (seed, stream, c) and on how many items it has, not on the other classes; a
    smaller draw is part of a larger one.
    """
    num_classes = len(num_drawn)
    by_class = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=num_classes))
    drawn = []
    for class_id, members in enumerate(np.split(by_class, ends[:-1])):
        order = torch.randperm(len(members), generator=generator(seed, *stream, class_id)).numpy()
        drawn.append(members[order[: num_drawn[class_id]]])
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def share_per_class(counts: Int64[np.ndarray, " c"], fraction: float | int) -> Int64[np.ndarray, " c"]:
    """fraction * n_c for every class, rounded half up."""
    return np.floor(counts * fraction + 0.5).astype(np.int64)
