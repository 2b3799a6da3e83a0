"""The placement grid in a sweep: which cells are crossings of block depth and position, and their numbers as an array."""

import hashlib
import re
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from peftlab.report.cell import Cell, varying
from peftlab.report.metric import Metric
from peftlab.site import POSITIONS

if TYPE_CHECKING:
    import numpy as np

DEPTH, POSITION = "placement.depth", "placement.position"


class Grid(NamedTuple):
    """A complete grid: `value[seed, depth, position]` in the unit that is shown, and what stands where."""

    value: "np.ndarray"
    cells: list[list[Cell]]
    depths: list[str]
    positions: list[str]
    left_out: int  # seeds that lack a cell


def grids(cells: list[Cell]) -> dict[str, list[Cell]]:
    """The cells of each combination of further choices that has several; none if depth x position was not swept."""
    by_rest: dict[str, list[Cell]] = {}
    keys = [key for key in sorted(varying(cells)) if key not in (DEPTH, POSITION)]
    for cell in cells:
        if {DEPTH, POSITION} <= cell.choices.keys():
            by_rest.setdefault(cell.label(keys), []).append(cell)
    return {rest: own for rest, own in by_rest.items() if len(own) > 1}


def heat_grid(cells: list[Cell]) -> tuple[list[str], list[str], list[list[Cell | None]]]:
    """Positions (rows, canonical order), depths (columns, by first block), the cell at each crossing."""
    at = {(cell.choices[POSITION], cell.choices[DEPTH]): cell for cell in cells}
    rank = {position: i for i, position in enumerate(POSITIONS)}
    rows = sorted(dict.fromkeys(row for row, _ in at), key=lambda row: rank.get(row, len(rank)))
    columns = sorted(dict.fromkeys(column for _, column in at), key=lambda column: _span(column, cells))
    return rows, columns, [[at.get((row, column)) for column in columns] for row in rows]


def _span(depth: str, cells: list[Cell]) -> tuple[float, float]:
    """First and last block of a depth: from the sites of its finished jobs, else from its text."""
    jobs = [job for cell in cells if cell.choices[DEPTH] == depth for job in cell.jobs]
    blocks = [float(site["block"]) for job in jobs for site in job.result.get("sites") or []]
    if not blocks:
        blocks = [float(number) for number in re.findall(r"\d+", depth)] or [inf]
        if depth.lstrip("[").startswith("-"):  # counted from the last block, which no record names
            blocks = [1e6 - block for block in blocks]
    return min(blocks), max(blocks)


def complete(cells: list[Cell], metric: Metric) -> Grid | None:
    """The values of a grid at the seeds that all its cells have; None if a crossing is empty or there are fewer than two."""
    import numpy as np

    positions, depths, crossing = heat_grid(cells)
    by_depth = [list(column) for column in zip(*crossing, strict=True)]
    if any(cell is None for line in by_depth for cell in line) or len(cells) < 2:
        return None
    found = [[cell for cell in line if cell is not None] for line in by_depth]
    seeds = [set(cell.values(metric.name)) for line in found for cell in line]
    common = sorted(set.intersection(*seeds))
    if len(common) < 2:
        return None
    value = [[[cell.values(metric.name)[seed] for cell in line] for line in found] for seed in common]
    left_out = len(set.union(*seeds)) - len(common)
    return Grid(metric.factor * np.array(value), found, depths, positions, left_out)


def best_cells(cells: list[Cell], metric: Metric) -> list[Cell]:
    """The set of best cells of a complete grid (Hsu), the highest first; none of a grid without two seeds."""
    from peftlab.statistics.anova import anova
    from peftlab.statistics.best import best_set

    grid = complete(cells, metric)
    if grid is None:
        return []
    error, mean = anova(grid.value, "depth", "position").error, grid.value.mean(0).ravel()
    found = best_set(mean, error.mean_square, len(grid.value), error.df)
    flat = [cell for line in grid.cells for cell in line]
    return [flat[index] for index in sorted(found, key=lambda index: -mean[index])]


def short_name(text: str) -> str:
    """A text as a part of a file's name, its own for every text."""
    return re.sub(r"[^\w.=+-]+", "_", text)[:80] + "-" + hashlib.sha256(text.encode()).hexdigest()[:6]
