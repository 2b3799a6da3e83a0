"""The random subset of the training items that MetaPEFT's outer loop learns gamma on."""

import numpy as np
import torch
from jaxtyping import Int64

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class
from peftlab.errors import UserError
from peftlab.stream import generator


def outer_split(
    labels: Int64[np.ndarray, " n"], *, fraction: float, stratified: bool, seed: int, draw: int
) -> Int64[np.ndarray, " m"]:
    """Sorted positions of the `draw`-th outer split, a pure function of (seed, draw).

    Stratified: round(fraction * n_c) items of every class that is present, at least one. Else:
    round(fraction * n) items of the whole set, at least one.

    Raises:
        UserError: for a fraction outside (0, 1).

    Source: Tian et al. 2025, arXiv:2603.01759, D_val (plain random, 20 %).
    Differs: stratified is offered, because 20 % of a class with five items is often none.
    """
    if not 0 < fraction < 1:
        raise UserError(
            f"scaling.outer.fraction={fraction} leaves one loop without items; legal: above 0, below 1"
        )
    if stratified:
        counts = np.bincount(labels).astype(np.int64)
        num_drawn = np.minimum(np.maximum(share_per_class(counts, fraction), 1), counts)
        return draw_per_class(labels, num_drawn, seed, "meta_split", draw)
    num_drawn_all = max(1, int(fraction * len(labels) + 0.5))
    order = torch.randperm(len(labels), generator=generator(seed, "meta_split", draw)).numpy()
    return np.sort(order[:num_drawn_all])


def coverage(
    labels: Int64[np.ndarray, " n"], positions: Int64[np.ndarray, " m"], num_classes: int
) -> dict[str, int | float]:
    """How many classes the subset sees, and its least and median number of items per class (absent = 0)."""
    counts = np.bincount(labels[positions], minlength=num_classes)
    return {
        "num_classes_covered": int((counts > 0).sum()),
        "num_classes": num_classes,
        "min_per_class": int(counts.min()),
        "median_per_class": float(np.median(counts)),
    }
