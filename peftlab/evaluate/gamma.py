"""What can be said of every site of an adapted model: its gamma and how much of the hidden state that makes."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.network.adapted import Adapted
from peftlab.site import Site


def gamma_rows(model: Adapted, images: Float[Tensor, "b c h w"]) -> list[dict[str, Any]]:
    """gamma (mean over channels if there are many), its fixed multiplier, their product and ||gamma delta|| / ||f||.

    Gamma alone is not identifiable, since (gamma, B) and (c gamma, B / c) are one function; the ratio is.
    """
    with torch.no_grad(), model.measure() as norms:
        model.features(images)
    multiplier = dict(zip(model.gamma.sites, model.gamma.multiplier.tolist(), strict=True))
    rows = []
    for site, scale in model.gamma.scales().items():
        effective, factor = scale.detach().float().mean().item(), multiplier[site]
        rows.append(
            {
                "site": str(site),
                "block": site.block,
                "position": site.position,
                "gamma": effective / factor if factor else float("nan"),
                "multiplier": factor,
                "effective": effective,
                "ratio": norms[site].item(),
            }
        )
    return rows


def site_rows(model: Adapted) -> list[dict[str, Any]]:
    """Block, position, width and fixed multiplier of every site."""
    factors: dict[Site, float] = dict(zip(model.gamma.sites, model.gamma.multiplier.tolist(), strict=True))
    widths = dict(zip(model.sites, (delta.width for delta in model.deltas.values()), strict=True))
    return [
        {
            "block": site.block,
            "position": site.position,
            "width": widths[site],
            "multiplier": factors.get(site, 1.0),
        }
        for site in model.sites
    ]
