"""heatmap.png: the headline metrics over block depth x position; heatmap-difference.png: the same beside the baseline."""

import hashlib
import re
from collections.abc import Sequence
from math import inf, isfinite, nan
from pathlib import Path
from typing import NamedTuple

from peftlab.report.cell import LEVEL, Bounds, Cell, false_discovery, metrics_of, num_seeds, varying
from peftlab.report.metric import Metric
from peftlab.site import POSITIONS
from peftlab.statistics.interval import is_clear

MARKS = {"diverged": "div", "failed": "fail", "stopped": "stp", "interrupted": "int", "running": "run"}
DEPTH, POSITION = "placement.depth", "placement.position"
MOST = 4  # grids of a sweep that are drawn
Grid = list[list[Cell | None]]


class Baseline(NamedTuple):
    """The cell that others are compared with, what it is called, and whether its sweep has several seeds."""

    cell: Cell
    name: str
    seeds: bool


def heat_maps(folder: Path, cells: list[Cell], baseline: Baseline | None = None) -> list[Path]:
    """PNG and SVG when depth x position was swept; for each combination of further choices its own, up to MOST.

    With a baseline there is a second picture of each, of the differences to it: a ring marks what is not significant.
    """
    found = grids(cells)
    files = []
    for rest, part in list(found.items())[:MOST]:
        name = re.sub(r"[^\w.=+-]+", "_", rest)[:80] + "-" + hashlib.sha256(rest.encode()).hexdigest()[:6]
        stem = f"heatmap-{name}" if len(found) > 1 else "heatmap"
        files += _values(folder / f"{stem}.png", part, rest)
        if baseline is not None:
            files += _differences(folder / f"{stem}-difference.png", part, rest, baseline)
    return files


def left_out(cells: list[Cell]) -> list[str]:
    """A word on the grids that are not drawn."""
    number = len(grids(cells))
    what = f"heat maps: the first {MOST} of {number} combinations of further choices; table.md has every cell"
    return [what] if number > MOST else []


def grids(cells: list[Cell]) -> dict[str, list[Cell]]:
    """The cells of each combination of further choices; none if depth x position was not swept."""
    by_rest: dict[str, list[Cell]] = {}
    keys = [key for key in sorted(varying(cells)) if key not in (DEPTH, POSITION)]
    for cell in cells:
        if {DEPTH, POSITION} <= cell.choices.keys():
            by_rest.setdefault(cell.label(keys), []).append(cell)
    return by_rest if max(map(len, by_rest.values()), default=0) > 1 else {}


def _values(path: Path, cells: list[Cell], rest: str) -> list[Path]:
    panels = [(metric, _Measured(metric)) for metric in metrics_of(cells)]
    title = ("Placement grid", rest, f"seeds per cell: {num_seeds(cells)}")
    return _draw(path, cells, panels, (", ".join(filter(None, title)), ""))


def _differences(path: Path, cells: list[Cell], rest: str, baseline: Baseline) -> list[Path]:
    """None is drawn where the baseline, or every other cell, was not measured."""
    panels = [(metric, _Compared(metric, baseline)) for metric in metrics_of(cells)]
    others = [cell for cell in cells if cell is not baseline.cell]
    if not any(isfinite(shown.value(cell)) for _, shown in panels for cell in others):
        return []
    note = "ring: not significant. " + (
        f"Paired by seed, error pooled over cells, at most 5 % false marks expected (Benjamini-Hochberg), {num_seeds(cells)}."
        if baseline.seeds
        else "The 95 % interval of the difference holds 0 or is not known (one run each, Newcombe's over its test items)."
    )
    title = (f"Placement grid, difference to {baseline.name or 'the baseline'}", rest)
    return _draw(path, cells, panels, (", ".join(filter(None, title)), note))


class _Measured(NamedTuple):
    """What a panel says of a cell: its mean over seeds."""

    metric: Metric

    def value(self, cell: Cell) -> float:
        return self.metric.factor * cell.mean(self.metric.name).mean

    def text(self, cell: Cell) -> str | None:
        """What replaces a cell's plain value: `div`, `fail`, or `81.2` over `2/3` where a seed lacks."""
        mean, _, n = cell.mean(self.metric.name)
        return f"{self.metric.text(mean)}\n{n}/{len(cell.jobs)}" if 0 < n < len(cell.jobs) else _mark(cell)

    def weak(self, cells: list[Cell]) -> list[bool]:
        return [False] * len(cells)


class _Compared(NamedTuple):
    """What a panel says of a cell: its difference to the baseline."""

    metric: Metric
    baseline: Baseline

    def bounds(self, cell: Cell) -> Bounds:
        if cell is self.baseline.cell:
            return (0.0 if cell.count["ok"] else nan), nan, nan
        return cell.contrast(self.baseline.cell, self.metric.name, self.baseline.seeds)

    def value(self, cell: Cell) -> float:
        return self.metric.factor * self.bounds(cell)[0]

    def text(self, cell: Cell) -> str | None:
        return "base" if cell is self.baseline.cell and cell.count["ok"] else _mark(cell)

    def weak(self, cells: list[Cell]) -> list[bool]:
        """Where a difference is not significant among all of the map, or nothing says that it is."""
        if not self.baseline.seeds:
            return [self._is_known(cell) and not is_clear(self.bounds(cell)) for cell in cells]
        _, share = false_discovery(cells, self.baseline.cell, self.metric.name)
        return [self._is_known(cell) and not q < LEVEL for cell, q in zip(cells, share, strict=True)]

    def _is_known(self, cell: Cell) -> bool:
        return cell is not self.baseline.cell and isfinite(self.bounds(cell)[0])


def _draw(
    path: Path,
    cells: list[Cell],
    panels: Sequence[tuple[Metric, _Measured | _Compared]],
    words: tuple[str, str],
) -> list[Path]:
    """A panel a metric, what it says of each cell, and the title and the note of the picture."""
    import numpy as np  # drawing is for the end of a sweep, not for every start

    from peftlab.figure.heat_map import Panel, Words, heat_map

    rows, columns, grid = heat_grid(cells)
    drawn = []
    there = [cell for line in grid for cell in line if cell is not None]
    for metric, shown in panels:
        marked = {id(cell) for cell, is_weak in zip(there, shown.weak(there), strict=True) if is_weak}
        value = np.array([[shown.value(cell) if cell else nan for cell in line] for line in grid])
        text = [[shown.text(cell) if cell else None for cell in line] for line in grid]
        weak = np.array([[id(cell) in marked for cell in line] for line in grid])
        if isinstance(shown, _Measured):
            drawn.append(Panel(metric.words, value, text, metric.form, metric.unit))
        else:
            drawn.append(Panel(metric.words, value, text, f"+{metric.form}", metric.points, True, weak))
    names = Words(words[0], "position", "block depth", words[1])
    return heat_map(drawn, rows, columns, names, path, path.with_suffix(".svg"))


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


def _mark(cell: Cell) -> str | None:
    """Why a cell has no number: `div`, `fail`; None if it has one, or nothing is known of it."""
    return (
        None if cell.count["ok"] else next((mark for state, mark in MARKS.items() if cell.count[state]), None)
    )
