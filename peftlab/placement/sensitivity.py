"""placement=sensitivity: the sites whose frozen weights the loss depends on most."""

from typing import Literal

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, largest


def sensitivity(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    by: Literal["sum", "mean"],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites of the largest s = sum_batches sum_w (dL_batch / dw)^2 over the frozen weights w of the site.

    L is the training loss with the head at its start, on training items without augmentation. `mean` divides by the
    number of weights. A sub-layer has the weights of its linear layers, `kv` those of k and v, `tokens` those of the
    block's linear layers.

    Source: He et al. 2023 (SPT), arXiv:2303.08566: s_w, first order, over 8 batches of 32 in their code. Differs: SPT
    ranks single weights in the whole network and counts those of a matrix among the top tau; here a site is scored by
    the sum (so the choice depends on no tau), all chosen sites get a delta, and no single weight is tuned beside them.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, or scores that are all 0.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    scores = ground.scorer.squared_gradients(sites, num_samples, batch_size)
    if by == "mean":
        scores = {site: score / ground.scorer.num_weights(site) for site, score in scores.items()}
    return largest(scores, keep, rule="sensitivity")
