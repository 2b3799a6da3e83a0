"""placement=layer_coupling: the sites that together take most of what the loss still wants."""

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, check_matrices, largest


def layer_coupling(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites that are taken first when each next one is that which takes most of what those before it leave.

    residual_norm scores each site alone, and two sites of large norms may want the same change of the logits: then they are coupled,
    and the second adds little. Here u_s is what the step of site s to least squares of its residuals (A = -G S^-1, see residual_norm)
    does to the logits of the items, to first order, and r = -dL / dz what the loss wants of them; sites are taken by orthogonal
    matching pursuit of r among the u_s. The score of a site is |r| less what all before it have taken, so the first have the largest.
    One forward of the items for each candidate.

    Source: ours, on the notion of Xu et al. 2026, arXiv:2602.04019, whose abstract names layer coupling as how strongly residuals
    interact across layers, and weak coupling as what makes contributions additive. The paper's own text could not be read.

    Raises:
        UserError: for a depth or position that no candidate has, too large a `keep`, a site without a weight matrix, or scores that
            are all 0.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    check_matrices(sites, rule="layer_coupling")
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    return largest(ground.scorer.left_over(sites, num_samples, batch_size), keep, rule="layer_coupling")
