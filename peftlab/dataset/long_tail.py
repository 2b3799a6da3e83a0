"""Cut a long-tailed subset from any labelled set."""

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.draw_per_class import draw_per_class
from peftlab.errors import UserError


def long_tail(
    labels: Int64[np.ndarray, " n"],
    *,
    imbalance: float | int | None,
    max_per_class: int | None,
    seed: int,
    num_classes: int,
) -> Int64[np.ndarray, " m"]:
    """Sorted positions of a long-tailed subset, class order by label id, counts as in `long_tail_counts`.

    Source: Cao et al. 2019, arXiv:1906.07413, section 5.1 (the exponential profile).
    Differs: which items are kept is drawn from a stream per class, not from NumPy's global state, so the
    counts are the published ones and the choice of items is not.
    """
    counts = np.bincount(labels, minlength=num_classes).astype(np.int64)
    kept = long_tail_counts(counts, imbalance=imbalance, max_per_class=max_per_class)
    return draw_per_class(labels, kept, seed, "long_tail")


def long_tail_counts(
    counts: Int64[np.ndarray, " c"],
    *,
    imbalance: float | int | None,
    max_per_class: int | None,
    key: str = "dataset.imbalance",
) -> Int64[np.ndarray, " c"]:
    """n_c = int(n_max * (1/imbalance)^(c/(C-1))), at least 1 and never more than the class has.

    n_max is the largest class's count, or `max_per_class` where that is smaller. Without an imbalance every
    class is only cut to n_max.

    Raises:
        UserError: for an imbalance below 1.
    """
    if imbalance is not None and imbalance < 1:
        raise UserError(
            f"{key}={imbalance} is below 1; legal: largest over smallest class, 1 or above, or null"
        )
    num_max = int(counts.max()) if max_per_class is None else min(max_per_class, int(counts.max()))
    ratio = 1.0 / (1.0 if imbalance is None else imbalance)
    steps = max(len(counts) - 1, 1)
    wanted = [max(1, int(num_max * ratio ** (class_id / steps))) for class_id in range(len(counts))]
    return np.minimum(np.array(wanted, dtype=np.int64), counts)
