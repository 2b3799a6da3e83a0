"""gamma.csv and gamma.png: the learned gammas of a run, one row per site."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from peftlab.record.record import Record
from peftlab.site import POSITIONS

COLUMNS = ("site", "block", "position", "gamma", "multiplier", "effective", "ratio")


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
