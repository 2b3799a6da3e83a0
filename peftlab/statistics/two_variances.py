"""Two reasons why a number would come out differently: other seeds of training, and other test images."""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from jaxtyping import Float, Int

DRAWS = 2000


@dataclass(frozen=True)
class Sampling:
    """A mean of class accuracies over seeds (or a difference of two): its value, the standard error that each source alone gives,
    and the 95 % percentile interval of both together.
    """

    value: float
    by_seed: float
    by_image: float
    low: float
    high: float


def two_variances(
    right: Float[np.ndarray, "seeds images"], label: Int[np.ndarray, " images"], rng: np.random.Generator
) -> Sampling:
    """What `right[s, i]`, whether the run of seed s has image i right (or the difference of two such), says of its class mean.

        m_s = mean_c mean_{i in c} right[s, i]        by_seed = sd_s(m_s) / sqrt(S)
        by_image^2 = 1/K^2 sum_c var_{i in c}(mean_s right[s, i]) / n_c

    The interval is a hierarchical bootstrap: seeds are drawn again, and within each class images, the same for all seeds, as
    all runs share the test images. Classes without an image are none of the K. A class of one image has no variance that
    could be seen. NaN for what has no seed or no image.
    """
    num_seeds, classes = len(right), np.unique(label)
    if not right.size:
        return Sampling(nan, nan, nan, nan, nan)
    shares = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), DRAWS) / num_seeds
    by_class, drawn, image = [], np.zeros(DRAWS), 0.0
    for one in classes:
        own = right[:, label == one].astype(np.float64)
        num = own.shape[1]
        counts = rng.multinomial(num, np.full(num, 1 / num), DRAWS) / num
        drawn += ((counts @ own.T) * shares).sum(1) / len(classes)
        by_class.append(own.mean(1))
        image += own.mean(0).var(ddof=1) / num if num > 1 else 0.0
    each = np.mean(by_class, axis=0)
    low, high = np.quantile(drawn, (0.025, 0.975))
    seed = float(each.std(ddof=1)) / sqrt(num_seeds) if num_seeds > 1 else nan
    return Sampling(float(each.mean()), seed, sqrt(image) / len(classes), float(low), float(high))
