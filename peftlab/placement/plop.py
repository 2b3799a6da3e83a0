"""placement=plop: the module types whose frozen weights are least aligned with what they read."""

from statistics import fmean
from typing import Literal

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, check_matrices, smallest


def plop(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    by: Literal["type", "site"],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites of the smallest normalised feature norm NFN = mean_z ||W z|| / ||W z~||.

    z is what the frozen weight W `[m, n]` reads of a token, without the bias, z~ a random vector of the norm of z, in a direction
    that is uniform. Near 1, W treats z as it does noise and has more to learn; far above 1, it is aligned with the task already. For
    ||W z~|| stands its root mean square over z~, which is ||W||_F ||z|| / sqrt(n), so

        NFN = mean_z sqrt(n) ||W z|| / (||W||_F ||z||)

    and nothing is drawn. Forward passes alone on training items without augmentation; no label enters, and `batch_size` changes
    the memory alone. `type` gives every site the mean over the sites of its position, as published, so that with `keep` a multiple
    of the number of blocks whole types are chosen (and of a type that is cut the lower blocks); `site` ranks the sites themselves.

    Source: Hayou et al. 2025 (PLoP), arXiv:2506.20629: the ratio, the mean by module type, and the lowest types. Differs: they draw
    one Gaussian z~ for each z, whose ratio is a little larger (Jensen's inequality) and the same in the limit of a wide W; they
    choose three types, here it is `keep` sites; they name linear layers alone, here the score of a sub-layer is the mean of its
    linear layers', as `kv` of k and v, and `tokens` of the block's; q, k and v of a fused layer are three, each with its own W.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, a norm, or weights that are all 0.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    check_matrices(sites, rule="plop")
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    scores = ground.scorer.feature_norms(sites, num_samples, batch_size)
    if by == "type":
        types = {site.position for site in sites}
        means = {name: fmean(scores[site] for site in sites if site.position == name) for name in types}
        scores = {site: means[site.position] for site in sites}
    return smallest(scores, keep, rule="plop")
