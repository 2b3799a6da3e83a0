"""heatmap.png: the headline metrics over block depth x position; heatmap-difference.png: the same beside the baseline."""

from collections.abc import Iterator, Sequence
from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

from peftlab.report.cell import LEVEL, Bounds, Cell, counterpart, false_discovery, metrics_of, num_seeds
from peftlab.report.grid import best_cells, grids, heat_grid, short_name
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Drawing
from peftlab.statistics.interval import is_clear

MARKS = {"diverged": "div", "failed": "fail", "stopped": "stp", "interrupted": "int", "running": "run"}
MOST = 4  # grids of a sweep that are drawn


class Baseline(NamedTuple):
    """The cell that others are compared with, what it is called, and whether its sweep has several seeds."""

    cell: Cell
    name: str
    seeds: bool

    def on(self, cell: Cell) -> "Baseline | None":
        """The same for a cell on other data, where it is the baseline's like there; None where there is none."""
        found = counterpart(self.cell, cell)
        if found is None or found is self.cell:
            return self if found else None
        return Baseline(found, f"the like of {self.name or 'the baseline'} on its data", self.seeds)


def heat_maps(folder: Path, cells: list[Cell], baseline: Baseline | None = None) -> list[Path]:
    """The drawings as PNG and SVG."""
    return [
        path
        for drawing in drawings(cells, baseline)
        for path in drawing.draw(*(folder / f"{drawing.name}.{end}" for end in ("png", "svg")))
    ]


def drawings(cells: list[Cell], baseline: Baseline | None = None) -> list[Drawing]:
    """One when depth x position was swept, a frame around the best cells; for each combination of further choices its own, up to MOST.

    With a baseline there is a second one of each, of the differences to it: a ring marks what is not significant.
    """
    found = grids(cells)
    drawn = []
    for rest, part in list(found.items())[:MOST]:
        stem = f"heatmap-{short_name(rest)}" if len(found) > 1 else "heatmap"
        drawn.append(_values(stem, part, rest))
        own = None if baseline is None else baseline.on(part[0])
        if own is not None:
            drawn += _differences(f"{stem}-difference", part, rest, own)
    return drawn


def left_out(cells: list[Cell]) -> list[str]:
    """A word on the grids that are not drawn."""
    number = len(grids(cells))
    what = f"heat maps: the first {MOST} of {number} combinations of further choices; the table of the cells has all"
    return [what] if number > MOST else []


def _values(stem: str, cells: list[Cell], rest: str) -> Drawing:
    panels = [(metric, _Measured(metric)) for metric in metrics_of(cells)]
    title = ", ".join(filter(None, ("Placement grid", rest, f"seeds per cell: {num_seeds(cells)}")))
    return Drawing(stem, title, partial(_draw, cells, panels, title))


def _differences(stem: str, cells: list[Cell], rest: str, baseline: Baseline) -> Iterator[Drawing]:
    """None where the baseline, or every other cell, was not measured."""
    panels = [(metric, _Compared(metric, baseline)) for metric in metrics_of(cells)]
    others = [cell for cell in cells if cell is not baseline.cell]
    if any(isfinite(shown.value(cell)) for _, shown in panels for cell in others):
        title = f"Placement grid, difference to {baseline.name or 'the baseline'}"
        title = ", ".join(filter(None, (title, rest)))
        yield Drawing(stem, title, partial(_draw, cells, panels, title))


class _Measured(NamedTuple):
    """What a panel says of a cell: its mean over seeds."""

    metric: Metric

    def value(self, cell: Cell) -> float:
        return self.metric.factor * cell.mean(self.metric.name).mean

    def text(self, cell: Cell) -> str | None:
        """What replaces a cell's plain value: `div`, `fail`, or `81.2` over `2/3` where a seed lacks."""
        mean, _, n = cell.mean(self.metric.name)
        return f"{self.metric.text(mean)}\n{n}/{len(cell.jobs)}" if 0 < n < len(cell.jobs) else _mark(cell)

    def tip(self, cell: Cell) -> str:
        """What is said where the pointer rests."""
        mean, half, n = cell.mean(self.metric.name)
        value = (
            f"{self.metric.text(mean)} ±{self.metric.text(half)}"
            if isfinite(half)
            else self.metric.text(mean)
        )
        return f"{self.metric.label} {value}, n = {n}" if n else f"{self.metric.label}: no finished run"

    def marks(self, cells: list[Cell]) -> list[bool]:
        """The cells that cannot be told from the best, where a grid of several seeds says so of some."""
        best = best_cells(cells, self.metric)
        return [any(cell is one for one in best) for cell in cells]

    def note(self) -> str:
        return "frame: cannot be told from the best at 95 % (Hsu's multiple comparisons)"


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

    def tip(self, cell: Cell) -> str:
        """What is said where the pointer rests."""
        value, low, high = (
            format(self.metric.factor * bound, f"+{self.metric.form}") for bound in self.bounds(cell)
        )
        if cell is self.baseline.cell or not self._is_known(cell):
            return f"{self.metric.label}: {'the baseline' if cell is self.baseline.cell else 'no difference is known'}"
        return (
            f"{self.metric.label} {value} ({low} to {high})"
            if "nan" not in low + high
            else f"{self.metric.label} {value}"
        )

    def note(self) -> str:
        return "ring: not significant. " + (
            "Paired by seed, error pooled over cells, at most 5 % false marks expected (Benjamini-Hochberg), "
            + num_seeds(self.baseline.cell.beside.cells or [self.baseline.cell])
            + "."
            if self.baseline.seeds
            else "The 95 % interval of the difference holds 0 or is not known (one run each, Newcombe's over its test items)."
        )

    def marks(self, cells: list[Cell]) -> list[bool]:
        """Where a difference is not significant among all of the map, or nothing says that it is."""
        if not self.baseline.seeds:
            return [self._is_known(cell) and not is_clear(self.bounds(cell)) for cell in cells]
        _, share = false_discovery(cells, self.baseline.cell, self.metric.name)
        return [self._is_known(cell) and not q < LEVEL for cell, q in zip(cells, share, strict=True)]

    def _is_known(self, cell: Cell) -> bool:
        return cell is not self.baseline.cell and isfinite(self.bounds(cell)[0])


def _draw(
    cells: list[Cell], panels: Sequence[tuple[Metric, _Measured | _Compared]], title: str, *paths: Path
) -> list[Path]:
    """A panel a metric, and what it says of each cell."""
    import numpy as np  # drawing is for the end of a sweep, not for every start

    from peftlab.figure.heat_map import Panel, Words, heat_map

    rows, columns, grid = heat_grid(cells)
    there = [cell for line in grid for cell in line if cell is not None]
    drawn, notes = [], list[str]()
    for metric, shown in panels:
        marked = {id(cell) for cell, is_marked in zip(there, shown.marks(there), strict=True) if is_marked}
        marks = np.array([[id(cell) in marked for cell in line] for line in grid])
        value = np.array([[shown.value(cell) if cell else nan for cell in line] for line in grid])
        text = [[shown.text(cell) if cell else None for cell in line] for line in grid]
        tips = [
            [
                f"{row} in {column}: {shown.tip(cell) if cell else 'not run'}"
                for column, cell in zip(columns, line, strict=True)
            ]
            for row, line in zip(rows, grid, strict=True)
        ]
        if isinstance(shown, _Measured):
            drawn.append(Panel(metric.words, value, text, metric.form, metric.unit, framed=marks, tips=tips))
            notes += [shown.note()] * bool(marked)
        else:
            form = f"+{metric.form}"
            drawn.append(Panel(metric.words, value, text, form, metric.points, True, marks, tips=tips))
            notes.append(shown.note())
    return heat_map(
        drawn, rows, columns, Words(title, "position", "block depth", notes[0] if notes else ""), *paths
    )


def _mark(cell: Cell) -> str | None:
    """Why a cell has no number: `div`, `fail`; None if it has one, or nothing is known of it."""
    return (
        None if cell.count["ok"] else next((mark for state, mark in MARKS.items() if cell.count[state]), None)
    )
