"""gamma.png: a run's gamma over block x position, and how much of the hidden state it makes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from peftlab.site import POSITIONS, Site


def gamma_heat_map(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], path: Path) -> Path:
    """`rows` are those of gamma.csv, `labels` the names of the backbone's blocks; the title names the run's folder."""
    values = {
        title: {Site(row["block"], row["position"]): row[key] for row in rows}
        for title, key in (("gamma", "gamma"), ("||gamma delta|| / ||f||", "ratio"))
    }
    return _heat_map(values, labels, path, f"gamma of {path.parent.name}")


@contextmanager
def drawn_gamma(gammas: Mapping[Site, float], labels: Sequence[str], title: str) -> Iterator[Path]:
    """A picture of these gammas for as long as somebody reads it."""
    with TemporaryDirectory() as folder:
        yield _heat_map({"gamma": gammas}, labels, Path(folder, "gamma.png"), title)


def _heat_map(
    values: Mapping[str, Mapping[Site, float]], labels: Sequence[str], path: Path, title: str
) -> Path:
    import numpy as np  # drawing is for the end of a run, not for every start

    from peftlab.figure.heat_map import Panel, Words, heat_map

    sites = list(next(iter(values.values())))
    positions = [name for name in POSITIONS if any(site.position == name for site in sites)]
    panels = []
    for name, numbers in values.items():
        grid = np.full((len(positions), len(labels)), np.nan)
        for site, value in numbers.items():
            grid[positions.index(site.position), site.block] = value
        panels.append(Panel(name, grid, form=".3g"))
    heat_map(panels, positions, list(labels), Words(title, "position", "block"), path)
    return path
