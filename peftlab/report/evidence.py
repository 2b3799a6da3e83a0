"""statistics.md: what a placement grid of several paired seeds shows, and what it does not."""

from collections.abc import Iterator
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from peftlab.record.whole_file import renew
from peftlab.report.cell import LEVEL, Cell, false_discovery, metrics_of
from peftlab.report.heat_map import grids, heat_grid
from peftlab.report.items import sampled
from peftlab.report.metric import Metric

if TYPE_CHECKING:
    import numpy as np

FILE = "statistics.md"
HEAD = "# Statistics of the grid"
PERMUTATIONS = 1999


class Grid(NamedTuple):
    """A complete grid: `value[seed, depth, position]` in the unit that is shown, and what stands where."""

    value: "np.ndarray"
    cells: list[list[Cell]]
    depths: list[str]
    positions: list[str]
    left_out: int  # seeds that lack a cell


def write_evidence(folder: Path, cells: list[Cell], baseline: Cell) -> list[Path]:
    """Analysis of variance, the set of best cells, additivity, pooled error and both variances, for each metric of each grid.

    Nothing is written without two seeds that every cell of a grid has.
    """
    parts = []
    for rest, own in grids(cells).items():
        found = [(metric, complete(own, metric)) for metric in metrics_of(own)]
        sections = [_section(metric, grid, baseline) for metric, grid in found if grid is not None]
        if sections:
            parts += [f"## {rest}"] * bool(rest) + sections
    if not parts:
        return []
    text = "\n\n".join([HEAD, _INTRODUCTION, *parts])
    return [renew(folder / FILE, text + "\n")]


_INTRODUCTION = (
    "Seeds are blocks: the runs of one seed share split, order, augmentation and head. The error is what is left beside cell and seed,"
    " pooled over all cells. p of depth, position and interaction is that of F; the permutation p beside it assumes no distribution."
)


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


def _section(metric: Metric, grid: Grid, baseline: Cell) -> str:
    from peftlab.statistics.anova import anova

    table = anova(grid.value, "depth", "position")
    lines = [
        f"### {metric.words}",
        "",
        f"{len(grid.value)} seeds, {len(grid.depths)} x {len(grid.positions)} cells"
        + (f"; {grid.left_out} seeds lack a cell and are left out" if grid.left_out else "")
        + f". A run varies by {table.error.mean_square**0.5:.2f} beside its cell and seed"
        f" ({table.error.df} degrees of freedom).",
        "",
        "| effect | df | F | p | p, permuted | share of cells | partial omega² |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *_effects(grid, table),
        "",
        *(f"- {sentence}" for sentence in _sentences(metric, grid, table, baseline)),
    ]
    return "\n".join(lines)


def _effects(grid: Grid, table: Any) -> Iterator[str]:
    import numpy as np

    from peftlab.statistics.permutation import permutation_p

    rng = np.random.default_rng(0)
    for axis, effect in enumerate(table.effects, start=1):
        exact = permutation_p(grid.value, axis, PERMUTATIONS, rng) if axis < 3 and effect.df else nan
        words = [
            _p(effect.p),
            _p(exact) if isfinite(exact) else "",
            _share(effect.share),
            _share(effect.omega2),
        ]
        f = f"{effect.f:.2f}" if isfinite(effect.f) else ""
        yield f"| {effect.name} | {effect.df} | {f} | " + " | ".join(words) + " |"


def _sentences(metric: Metric, grid: Grid, table: Any, baseline: Cell) -> Iterator[str]:
    yield _best(grid, table)
    if len(grid.depths) > 1 and len(grid.positions) > 1:
        yield _additive(grid, table)
    yield from _against(metric, grid, table, baseline)
    yield _assumptions(grid)


def _best(grid: Grid, table: Any) -> str:
    from peftlab.statistics.best import best_set

    mean = grid.value.mean(0).ravel()
    found = sorted(
        best_set(mean, table.error.mean_square, len(grid.value), table.error.df),
        key=lambda index: -mean[index],
    )
    names = [f"{_name(grid, index)} {mean[index]:.1f}" for index in found]
    return (
        f"**Best cells** (cannot be told from the best at 95 %, Hsu): {len(found)} of {mean.size}. "
        + ", ".join(names)
        + "."
    )


def _additive(grid: Grid, table: Any) -> str:
    from peftlab.statistics.additivity import additivity

    found = additivity(grid.value, table)
    columns = len(grid.positions)
    predicted, best = (_name(grid, row * columns + column) for row, column in (found.predicted, found.best))
    where = (
        "that is the best cell"
        if found.predicted == found.best
        else f"it lies {'outside' if found.outside else 'inside'} the set of best cells; the best is {best}"
    )
    return (
        f"**Additivity**: {found.verdict} (p {_p(found.p)}). Best depth and best position together are {predicted}: {where}."
        f" What depth and position do not explain is {found.interaction:.2f} ({found.low:.2f} to {found.high:.2f}) over cells, root mean"
        f" square. A seed that was left out is predicted to {found.error_additive:.2f} by depth and position alone, to"
        f" {found.error_cells:.2f} by the cells' means."
    )


def _against(metric: Metric, grid: Grid, table: Any, baseline: Cell) -> Iterator[str]:
    """The differences to the baseline, if it is of this grid: how many, how large they must be, and both variances of the largest."""
    cells = [cell for line in grid.cells for cell in line]
    if not any(cell is baseline for cell in cells):
        return
    _, share = false_discovery(cells, baseline, metric.name)
    marked = sum(q < LEVEL for q in share)
    half = (
        metric.factor
        * next(cell for cell in cells if cell is not baseline).difference(baseline, metric.name).half
    )
    yield (
        f"**Differences to the baseline**: {marked} of {len(cells) - 1} cells differ with at most 5 % false marks (Benjamini-Hochberg)."
        f" All at once, a difference is significant above {half:.2f} (max-t)."
    )
    best = max(cells, key=lambda cell: cell.mean(metric.name).mean)
    if best is not baseline:
        yield from _both(best, baseline, metric)


def _both(cell: Cell, baseline: Cell, metric: Metric) -> Iterator[str]:
    found = sampled(cell, baseline, metric)
    if found is not None:
        yield (
            f"**Two variances**: best cell less baseline {found.value:+.1f}; its standard error is {found.by_seed:.2f} over seeds and"
            f" {found.by_image:.2f} over test images, its 95 % interval over both {found.low:+.1f} to {found.high:+.1f}"
            " (hierarchical bootstrap)."
        )


def _assumptions(grid: Grid) -> str:
    from peftlab.statistics.assumptions import assumptions

    found = assumptions(grid.value.reshape(len(grid.value), -1))
    return (
        f"**Assumptions**: normal residuals, Shapiro-Wilk p {_p(found.normal)}; equal spread of cells, Levene p {_p(found.spread)}. "
        + ("; ".join(found.doubts) or "Nothing speaks against the pooled error")
        + "."
    )


def _name(grid: Grid, index: int) -> str:
    row, column = divmod(index, len(grid.positions))
    return f"{grid.positions[column]} in {grid.depths[row]}"


def _p(value: float) -> str:
    if not isfinite(value):
        return "unknown"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def _share(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else ""
