"""gamma.csv and gamma.png: the learned gammas of a run, one row per site."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from peftlab.network.adapted import Adapted
from peftlab.record.record import Record
from peftlab.site import POSITIONS, Site

COLUMNS = ("site", "block", "position", "gamma", "multiplier", "effective", "ratio")


def gamma_rows(model: Adapted, images: torch.Tensor) -> list[dict[str, Any]]:
    """gamma (mean over channels if there are many), its fixed multiplier, their product and ||gamma delta|| / ||f||.

    Gamma alone is not identifiable, since (gamma, B) and (c gamma, B / c) are one function; the ratio is.
    """
    with torch.no_grad(), model.measure() as norms:
        model.features(images)
    multiplier = dict(zip(model.gamma.sites, model.gamma.multiplier.tolist(), strict=True))
    rows = []
    for site, scale in model.gamma.scales().items():
        effective, factor = scale.detach().float().mean().item(), multiplier[site]
        gamma = effective / factor if factor else float("nan")
        rows.append(
            {
                "site": str(site),
                "block": site.block,
                "position": site.position,
                "gamma": gamma,
                "multiplier": factor,
                "effective": effective,
                "ratio": norms[site].item(),
            }
        )
    return rows


def write_gamma(record: Record, rows: list[dict[str, Any]], labels: Sequence[str]) -> None:
    """The table, and its heat map over block x position."""
    from peftlab.figure.heat_map import Panel, heat_map

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    record.write_text("gamma.csv", text.getvalue())
    positions = [name for name in POSITIONS if any(row["position"] == name for row in rows)]
    panels = []
    for title, key in (("gamma", "gamma"), ("||gamma delta|| / ||f||", "ratio")):
        grid = np.full((len(positions), len(labels)), np.nan)
        for row in rows:
            grid[positions.index(row["position"]), row["block"]] = row[key]
        panels.append(Panel(title, grid, form=".3g"))
    heat_map(
        panels,
        positions,
        list(labels),
        record.folder / "gamma.png",
        title=f"gamma of {record.folder.name}",
        row_label="position",
        column_label="block",
    )


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
