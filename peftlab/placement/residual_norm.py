"""placement=residual_norm: the sites whose linear map can take most of what the loss still wants."""

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, check_matrices, largest


def residual_norm(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites of the largest projected residual norm ||G S^(-1/2)||: G = dL / dW of the frozen weights W, L the mean loss over
    the items, and S = E[x x^T] over the tokens x that W reads.

    It is what is left of gradient_norm when the scale and the shape of what a site reads are taken out: with r = -dL / dy what the
    loss wants of the site's output at each token, the norm of that part of r which a linear map of x can give. Items are training
    items without augmentation; `batch_size` changes the memory alone. S takes n^2 numbers in float64 for each input of width n.

    Source: Xu et al. 2026, arXiv:2602.04019, whose abstract says that the projected residual norm of squared loss and linear adapters
    is a normalised gradient norm. Differs: the paper's own text could not be read; the formula follows from least squares, for any loss.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, a site without a weight matrix, or scores that
            are all 0.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    check_matrices(sites, rule="residual_norm")
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    return largest(ground.scorer.residual_norms(sites, num_samples, batch_size), keep, rule="residual_norm")
