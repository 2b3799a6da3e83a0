"""placement=residual_norm: the blocks that change the residual stream most."""

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, largest


def residual_norm(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites in the blocks of the largest mean over tokens of ||y - x|| / ||x||: the frozen block makes y of x.

    All sites of a block have its score, so whole blocks are chosen from the one that changes most, and of a block that `keep` cuts
    the earlier positions. Forward passes alone on training items without augmentation; no label enters, and `batch_size` changes
    the memory alone.

    Source: Csordas et al. 2025, arXiv:2505.13898, measure what a layer adds relative to the residual stream to say how much of it
    is used. That adapters should stand there is ours: a plain baseline.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, or scores that are all 0.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    return largest(ground.scorer.residual_norms(sites, num_samples, batch_size), keep, rule="residual_norm")
