"""placement=gradient_norm: the sites whose frozen weights one step of full fine-tuning would move most."""

import math
from typing import Literal

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, largest


def gradient_norm(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    by: Literal["norm", "rms"],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites of the largest ||dL / dW||, L the mean loss over the items, W the frozen weights of the site.

    Unlike sensitivity it is the gradient of the mean, where items that pull in opposite directions cancel, so
    `batch_size` changes the memory alone. `rms` divides by the root of the number of weights. Which weights are a
    site's, and on which items, is as in sensitivity.

    Source: ours, the plain baseline beside SPT.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, or scores that are all 0.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    scores = ground.scorer.mean_gradient_norms(sites, num_samples, batch_size)
    if by == "rms":
        scores = {site: score / math.sqrt(ground.scorer.num_weights(site)) for site, score in scores.items()}
    return largest(scores, keep, rule="gradient_norm")
