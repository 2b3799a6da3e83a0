"""What there is to say of every site of a cell."""

from typing import Any

import torch
from torch import Tensor

from peftlab.network.cell import Cell
from peftlab.network.network import Network
from peftlab.site import Site


def gamma_rows(network: Network, cell: Cell, inputs: dict[str, Tensor]) -> list[dict[str, Any]]:
    """gamma (mean over channels if there are many), its fixed multiplier, their product and ||gamma delta|| / ||f||.

    Gamma alone is not identifiable, since (gamma, B) and (c gamma, B / c) are one function; the ratio is.
    """
    norms: dict[Site, Tensor] = {}
    with torch.no_grad():
        network.features([cell], inputs, [{"norms": norms}])
    multiplier = _multipliers(cell)
    rows, own = [], gammas(cell)
    for site, scale in cell.gamma.scales().items():
        effective, factor = scale.detach().float().mean().item(), multiplier[site]
        rows.append(
            {
                "site": str(site),
                "block": site.block,
                "position": site.position,
                "gamma": own[site],
                "multiplier": factor,
                "effective": effective,
                "ratio": norms[site].item(),
            }
        )
    return rows


def gate_rows(network: Network, cell: Cell, inputs: dict[str, Tensor]) -> list[dict[str, Any]]:
    """How far the gate of every site is open, 0 to 1: mean, least and most over samples or tokens, and ||g gamma delta|| / ||f||."""
    norms: dict[Site, Tensor] = {}
    opened: dict[Site, Tensor] = {}
    with torch.no_grad():
        network.features([cell], inputs, [{"norms": norms, "opened": opened}])
    rows = []
    for site in (anchor.site for anchor in cell.anchors if anchor.site in opened):
        value = opened[site].float()
        rows.append(
            {
                "site": str(site),
                "block": site.block,
                "position": site.position,
                "gate": value.mean().item(),
                "min": value.min().item(),
                "max": value.max().item(),
                "ratio": norms[site].item(),
            }
        )
    return rows


def gammas(cell: Cell) -> dict[Site, float]:
    """gamma of every site without its multiplier, the mean over channels; NaN where the multiplier is 0."""
    factors = _multipliers(cell)
    means = {site: scale.detach().float().mean().item() for site, scale in cell.gamma.scales().items()}
    return {site: mean / factors[site] if factors[site] else float("nan") for site, mean in means.items()}


def site_rows(cell: Cell) -> list[dict[str, Any]]:
    """Block, position, width and fixed multiplier of every site."""
    factors = _multipliers(cell)
    return [
        {
            "block": anchor.site.block,
            "position": anchor.site.position,
            "width": anchor.delta.width,
            "multiplier": factors.get(anchor.site, 1.0),
        }
        for anchor in cell.anchors
    ]


def _multipliers(cell: Cell) -> dict[Site, float]:
    return dict(zip(cell.gamma.sites, cell.gamma.multiplier.tolist(), strict=True))
