"""placement=kappa: the sites whose frozen weights are closest to a multiple of an isometry."""

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, check_matrices, smallest


def kappa(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
) -> Placement:
    """The `keep` sites of the smallest condition number kappa(W) = sigma_max / sigma_min, W the frozen weight of the site.

    sigma_min is the smallest of min(m, n) singular values of W `[m, n]`, in float64; a singular W has inf and comes last. A large
    kappa is taken for a matrix that has specialised in pre-training, which is better left as it is. No item is read.

    Source: Ludwig 2025 (KappaTune), arXiv:2506.16289: the tensors of the smallest kappa are tuned, in its code also by LoRA.
    Differs: sites are ranked, not all tensors of the network, so q, k and v of a fused layer are three, each with the kappa of its
    own slice; the score of a sub-layer is the geometric mean of its linear layers', as `kv` of k and v, and `tokens` of the block's.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, a norm, or weights that are not finite.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    check_matrices(sites, rule="kappa")
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    return smallest(ground.scorer.condition_numbers(sites), keep, rule="kappa")
