"""statistics.md: what a placement grid of several paired seeds shows, and what it does not."""

from collections.abc import Iterator
from math import isfinite, nan
from pathlib import Path
from typing import Any

from peftlab.record.whole_file import renew
from peftlab.report.cell import LEVEL, Cell, counterpart, false_discovery, metrics_of
from peftlab.report.grid import Grid, complete, grids, short_name
from peftlab.report.items import sampled
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Column, Entry, Section, Table, number, words
from peftlab.report.page.tables import markdown

FILE = "statistics.md"
HEAD = "# Statistics of the grid"
PERMUTATIONS = 1999


def write_evidence(folder: Path, cells: list[Cell], baseline: Cell) -> list[Path]:
    """statistics.md: what `evidence` finds. Nothing is written where it finds nothing."""
    found = evidence(cells, baseline)
    if not found:
        return []
    parts = [HEAD, INTRODUCTION]
    for section in found:
        parts += [f"## {section.title}", *map(markdown, section.tables)]
        parts.append("\n".join(f"- {word}" for word in section.words))
    return [renew(folder / FILE, "\n\n".join(parts) + "\n")]


def evidence(cells: list[Cell], baseline: Cell) -> list[Section]:
    """Analysis of variance, the set of best cells, additivity, pooled error and both variances, for each metric of each grid.

    Nothing is said of a grid without two seeds that every cell has.
    """
    found = []
    for rest, own in grids(cells).items():
        for metric in metrics_of(own):
            grid = complete(own, metric)
            if grid is not None:
                found.append(_section(metric, grid, counterpart(baseline, own[0]) or baseline, rest))
    return found


INTRODUCTION = (
    "Seeds are blocks: the runs of one seed share split, order, augmentation and head. The error is what is left beside cell and seed,"
    " pooled over all cells. p of depth, position and interaction is that of F; the permutation p beside it assumes no distribution."
)


def _section(metric: Metric, grid: Grid, baseline: Cell, rest: str) -> Section:
    from peftlab.statistics.anova import anova

    table = anova(grid.value, "depth", "position")
    title = metric.words + (f", {rest}" if rest else "")
    name = "-".join([metric.label, *([short_name(rest)] if rest else [])])
    said = (
        f"{len(grid.value)} seeds, {len(grid.depths)} x {len(grid.positions)} cells"
        + (f"; {grid.left_out} seeds lack a cell and are left out" if grid.left_out else "")
        + f". A run varies by {table.error.mean_square**0.5:.2f} beside its cell and seed"
        f" ({table.error.df} degrees of freedom)."
    )
    effects = Table(f"anova-{name}", f"Analysis of variance, {title}", EFFECTS, list(_effects(grid, table)))
    sentences = [said, *_sentences(metric, grid, table, baseline)]
    best = Table(
        f"best-{name}",
        f"Cells beside the best, {title}",
        _best_columns(metric),
        _beside_best(metric, grid, table),
        BEST,
    )
    return Section(
        f"statistics-{name}", f"Statistics: {title}", sentences, [effects, best] if best.rows else [effects]
    )


BEST = (
    "Simultaneous 95 % intervals to the best of the others, constrained to 0 (Hsu 1984): where one ends at 0 from below, the cell is not"
    " among the best."
)


EFFECTS = [
    Column("effect", is_number=False),
    *(Column(name) for name in ("df", "F", "p", "p, permuted", "share of cells", "partial omega²")),
]


def _effects(grid: Grid, table: Any) -> Iterator[list[Entry]]:
    import numpy as np

    from peftlab.statistics.permutation import permutation_p

    rng = np.random.default_rng(0)
    for axis, effect in enumerate(table.effects, start=1):
        exact = permutation_p(grid.value, axis, PERMUTATIONS, rng) if axis < 3 and effect.df else nan
        yield [
            words(effect.name),
            number(effect.df),
            number(effect.f, ".2f"),
            Entry(p_text(effect.p), effect.p),
            Entry(p_text(exact) if isfinite(exact) else "", exact),
            number(effect.share, ".2f"),
            number(effect.omega2, ".2f"),
        ]


def _best_columns(metric: Metric) -> list[Column]:
    return [
        *(Column(name, is_number=False) for name in ("depth", "position")),
        Column(metric.label, metric.unit),
        Column("less the best other", metric.points),
        Column("among the best", is_number=False),
    ]


def _beside_best(metric: Metric, grid: Grid, table: Any) -> list[list[Entry]]:
    """Each cell less the best of the others, the highest first."""
    from peftlab.statistics.best import to_best

    mean, error, form = grid.value.mean(0).ravel(), table.error, f"+{metric.form}"
    if not error.df or mean.size < 2:
        return []
    bounds = to_best(mean, error.mean_square, len(grid.value), error.df)
    rows = []
    for index in sorted(range(mean.size), key=lambda index: -mean[index]):
        (row, column), (low, high) = divmod(index, len(grid.positions)), bounds[index]
        gap = float(mean[index] - max(value for other, value in enumerate(mean) if other != index))
        shown = f"{format(gap, form)} ({format(low, form)}, {format(high, form)})"
        rows.append(
            [
                words(grid.depths[row]),
                words(grid.positions[column]),
                number(mean[index], metric.form),
                Entry(shown, gap, low, high),
                words("yes" if high > 0 else ""),
            ]
        )
    return rows


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
        f"**Additivity**: {found.verdict} (p {p_text(found.p)}). Best depth and best position together are {predicted}: {where}."
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
            f" {found.by_image:.2f} over test items, its 95 % interval over both {found.low:+.1f} to {found.high:+.1f}"
            " (hierarchical bootstrap)."
        )


def _assumptions(grid: Grid) -> str:
    import numpy as np

    from peftlab.statistics.assumptions import assumptions
    from peftlab.statistics.permutation import permutation_cells

    flat = grid.value.reshape(len(grid.value), -1)
    found, alike = assumptions(flat), permutation_cells(flat, PERMUTATIONS, np.random.default_rng(0))
    return (
        f"**Assumptions**: normal residuals, Shapiro-Wilk p {p_text(found.normal)}; equal spread of cells, Levene p"
        f" {p_text(found.spread)}. "
        + ("; ".join(found.doubts) or "nothing speaks against the pooled error").capitalize()
        + f". That all cells are alike has p {p_text(alike)} by permuting the cells of each seed, whatever the errors are like."
    )


def _name(grid: Grid, index: int) -> str:
    row, column = divmod(index, len(grid.positions))
    return f"{grid.positions[column]} in {grid.depths[row]}"


def p_text(value: float) -> str:
    """A p-value as it is shown."""
    if not isfinite(value):
        return "unknown"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"
