"""placement=gradient_norm: the sites whose frozen weights one step of full fine-tuning would move most."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from peftlab.option import PositiveInt
from peftlab.placement.cell import Cells
from peftlab.placement.ranking import among, largest
from peftlab.site import Site


def gradient_norm(
    candidates: Sequence[Site],
    labels: Sequence[str],
    measure: Any,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    by: Literal["norm", "rms"],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Cells:
    """The `keep` sites of the largest ||dL / dW||, L the mean loss over the images, W the frozen weights of the site.

    Unlike sensitivity it is the gradient of the mean, where images that pull in opposite directions cancel, so
    `batch_size` changes the memory alone. `rms` divides by the root of the number of weights. Which weights are a
    site's, and on which images, is as in sensitivity.

    Source: ours, the plain baseline beside SPT.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, or scores that are all 0.
    """
    sites = among(candidates, labels, depth=depth, position=position, keep=keep)
    if measure is None or not sites:
        return {site: {} for site in sites}
    scores = measure.mean_gradient_norms(sites, num_samples, batch_size)
    if by == "rms":
        scores = {site: score / math.sqrt(measure.num_weights(site)) for site, score in scores.items()}
    measure.scores.update(scores)
    return largest(scores, keep, rule="gradient_norm")
