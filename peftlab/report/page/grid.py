"""Section: the placement grid: its maps, what depth and position do by themselves and together, and the statistics."""

from functools import partial
from math import nan
from pathlib import Path

from peftlab.report.evidence import INTRODUCTION, evidence
from peftlab.report.grid import Grid, complete, grids, short_name
from peftlab.report.heat_map import MOST, Baseline, drawings, left_out
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Drawing, Section
from peftlab.report.page.study import Study


def section(study: Study) -> Section | None:
    """The maps of every combination of further choices, up to MOST; the rest needs two seeds that every cell has."""
    found = grids(study.cells)
    if not found:
        return None
    compared = Baseline(study.baseline, study.name(study.baseline), study.seeds)
    drawn = drawings(study.cells, compared)
    said = left_out(study.cells)
    for rest, cells in list(found.items())[:MOST]:
        complete_grids = [(metric, grid) for metric in study.metrics if (grid := complete(cells, metric))]
        if complete_grids:
            drawn.append(_effects(complete_grids, rest, many=len(found) > 1))
    statistics = evidence(study.cells, study.baseline)
    return Section(
        "grid", "Placement grid", [*said, *[INTRODUCTION] * bool(statistics)], [], drawn, statistics
    )


def _effects(found: list[tuple[Metric, Grid]], rest: str, many: bool) -> Drawing:
    name = f"effects-{short_name(rest)}" if many else "effects"
    title = ", ".join(
        filter(None, ("Main effects and interaction", rest, f"n = {len(found[0][1].value)} seeds"))
    )
    return Drawing(name, title, partial(_draw, found, title))


def _draw(found: list[tuple[Metric, Grid]], title: str, *paths: Path) -> list[Path]:
    """For each metric a panel over depth: a curve for each position, and their mean, with the error that all cells share."""
    import numpy as np

    from peftlab.figure.curves import Curve, Panel, Words, draw_curves
    from peftlab.statistics.anova import anova
    from peftlab.statistics.blocks import quantile

    panels = []
    for metric, grid in found:
        mean, error = grid.value.mean(0), anova(grid.value, "depth", "position").error
        half = quantile(error.df, 0.95) * (error.mean_square / len(grid.value)) ** 0.5 if error.df else nan
        at = np.arange(len(grid.depths), dtype=np.float64)
        none = np.full(len(at), nan)
        curves = [Curve(name, at, mean[:, place], none, none) for place, name in enumerate(grid.positions)]
        middle, narrow = mean.mean(1), half / len(grid.positions) ** 0.5
        curves.append(Curve("mean of positions", at, middle, middle - narrow, middle + narrow))
        panels.append(
            Panel(curves, "block depth", metric.words, f"error of a cell ±{half:.1f}", ticks=grid.depths)
        )
    note = (
        "Parallel curves: depth and position add up. ± and band: 95 % interval, error pooled over cells, without what a seed"
        " adds to all."
    )
    return draw_curves(panels, Words(title, "position", note), *paths)
