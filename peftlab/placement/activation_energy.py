"""placement=activation_energy: the sites that write most, without any gradient."""

from typing import Literal

from peftlab.option import PositiveInt
from peftlab.placement.ground import Ground, Placement
from peftlab.placement.ranking import among, largest


def activation_energy(
    ground: Ground,
    *,
    keep: PositiveInt,
    depth: int | float | str | list[int | float | str],
    position: str | list[str],
    by: Literal["energy", "ratio"],
    num_samples: PositiveInt,
    batch_size: PositiveInt,
) -> Placement:
    """The `keep` sites of the largest mean of y^2, y what the frozen site writes, over items, tokens and channels.

    `ratio` divides by the mean of x^2, x what the site reads: how much it amplifies, so that positions with another
    scale can be compared. At `kv`, y is the heads' output as W_o reads it; at `tokens`, x and y are the tokens that
    enter the block. Training items without augmentation; `batch_size` changes the memory alone.

    Source: ours; no label and no loss enters.

    Raises:
        UserError: for a depth or position that no candidate has, or too large a `keep`.
    """
    sites = among(ground, depth=depth, position=position, keep=keep)
    if ground.scorer is None or not sites:
        return Placement({site: {} for site in sites}, is_open=True)
    energies = ground.scorer.energies(sites, num_samples, batch_size)
    scores = {site: wrote / read if by == "ratio" else wrote for site, (read, wrote) in energies.items()}
    return largest(scores, keep, rule="activation_energy")
