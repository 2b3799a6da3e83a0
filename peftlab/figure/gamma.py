"""gamma.png: a run's gamma over block x position, and how much of the hidden state it makes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peftlab.site import POSITIONS


def gamma_heat_map(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], path: Path) -> Path:
    """`rows` are those of gamma.csv, `labels` the names of the backbone's blocks; the title names the run's folder."""
    import numpy as np  # drawing is for the end of a run, not for every start

    from peftlab.figure.heat_map import Panel, Words, heat_map

    positions = [name for name in POSITIONS if any(row["position"] == name for row in rows)]
    panels = []
    for title, key in (("gamma", "gamma"), ("||gamma delta|| / ||f||", "ratio")):
        grid = np.full((len(positions), len(labels)), np.nan)
        for row in rows:
            grid[positions.index(row["position"]), row["block"]] = row[key]
        panels.append(Panel(title, grid, form=".3g"))
    words = Words(f"gamma of {path.parent.name}", "position", "block")
    return heat_map(panels, positions, list(labels), path, words)
