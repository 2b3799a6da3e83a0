"""Scatter plots with intervals and names, as PNG and SVG."""

from itertools import cycle
from math import ceil, floor, log10
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, Transform

from peftlab.figure.picture import plain_text, save, tip_id

NAMED = 40  # points that have a name and an interval
BESIDE = 2.5  # between points of one x, in points of the page


class Point(NamedTuple):
    """One point of a scatter plot, with its interval in y."""

    name: str
    x: float
    y: float
    low: float
    high: float


def scatter_plot(
    points: list[Point], *paths: Path, title: str, x_label: str, y_label: str, front: bool = False
) -> list[Path]:
    """Points with their names and intervals over a logarithmic x that has room for 0; each file appears in one piece.

    Points whose x differ by less than 10 % stand side by side, so that their intervals can be told apart. Of more than
    NAMED points the best by y have a name and an interval, and the others are grey dots. front: a line along the points
    than which none has both less x and more y.
    """
    best = sorted(points, key=lambda point: -point.y)[:NAMED]
    if len(points) > NAMED:
        title += f"\nnames and intervals: the {NAMED} best of {len(points):,}"
    with plain_text():
        figure = Figure(figsize=(9, 6), dpi=150, layout="constrained")
        axes = figure.subplots()
        rest = [point for point in points if point not in best] if len(points) > NAMED else []
        axes.plot([point.x for point in rest], [point.y for point in rest], ".", color="0.7", markersize=4)
        colours = cycle(matplotlib.colormaps["tab20"].colors)  # type: ignore[attr-defined]
        colour = dict(zip([point for point in points if point in best], colours, strict=False))
        shifts = _side_by_side(list(colour))
        for point, (shift, _) in shifts.items():
            _bar(axes, point, shift, colour[point])
        if front:
            steps = _front(points)
            axes.step(
                [p.x for p in steps], [p.y for p in steps], where="post", color="0.35", lw=0.9, zorder=0.5
            )
        _limits(axes, points)
        _name(figure, axes, shifts, colour)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        return [save(figure, path) for path in paths]


def _front(points: list[Point]) -> list[Point]:
    """The Pareto front: the highest so far, from the left."""
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if not found or point.y > found[-1].y:
            found.append(point)
    return found


def _bar(axes: Axes, point: Point, shift: float, colour: Any) -> None:
    error = [[max(0.0, point.y - point.low)], [max(0.0, point.high - point.y)]]  # none where a bound is NaN
    style: Any = {"fmt": "o", "markersize": 4, "elinewidth": 0.8, "color": colour}
    style |= {
        "transform": _beside(axes, shift),
        "gid": tip_id(f"{point.name}: {point.y:.4g} at {point.x:,.6g}"),
    }
    axes.errorbar([point.x], [point.y], yerr=error, **style)


def _limits(axes: Axes, points: list[Point]) -> None:
    smallest = min((point.x for point in points if point.x > 0), default=1.0)
    axes.set_xscale("symlog", linthresh=smallest)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
    left = -0.1 * smallest if any(point.x == 0 for point in points) else 0.7 * smallest
    right = 1.7 * max(smallest, max(point.x for point in points))
    axes.set_xlim(left, right)
    axes.set_xticks([*([0.0] if left < 0 else []), *_ticks(0.7 * smallest, right)])
    axes.set_xticks([], minor=True)
    low, high = min(point.y for point in points), max(point.y for point in points)
    pad = max(2.0, 0.2 * (high - low))
    # from the points: an interval over two seeds can be wider than any accuracy
    axes.set_ylim(low - pad, high + pad)


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or more where there are fewer than three between the bounds, both above 0."""
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), range(1, 10)):
        found = [step * 10.0**decade for decade in decades for step in steps]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) > 2:
            break
    return found


def _side_by_side(points: list[Point]) -> dict[Point, tuple[float, float]]:
    """How far each point stands beside its x, and how far the last of its neighbours, in points of the page."""
    groups: list[list[Point]] = []
    for point in sorted(points, key=lambda point: point.x):
        if groups and point.x <= 1.1 * groups[-1][-1].x:
            groups[-1].append(point)
        else:
            groups.append([point])
    shifts = {}
    for group in groups:
        half = (len(group) - 1) / 2
        for index, point in enumerate(sorted(group, key=lambda point: point.y)):
            shifts[point] = (BESIDE * (index - half), BESIDE * half)
    return shifts


def _beside(axes: Axes, shift: float) -> Transform:
    """Data coordinates, moved right by so many points of the page."""
    return axes.transData + ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)


def _name(
    figure: Figure, axes: Axes, points: dict[Point, tuple[float, float]], colour: dict[Point, Any]
) -> None:
    """Each name to the right of its point and of those beside it, moved up or down until it covers no other.

    Where it would cover another everywhere, or leave the axes, there is none: the point's tip has it.
    """
    FigureCanvasAgg(figure).draw()  # fixes the scale
    box = axes.get_window_extent()
    bottom, top = box.y0 * 72 / figure.dpi, box.y1 * 72 / figure.dpi
    taken: list[tuple[float, float, float, float]] = []
    for point in sorted(points, key=lambda point: point.y):
        aside, last = points[point]
        x, y = _beside(axes, last).transform((point.x, point.y)) * 72 / figure.dpi  # points of the page
        width = 4.2 * len(point.name)
        shifts = sorted(np.arange(-120, 121, 3.0), key=abs)
        free = (shift for shift in shifts if bottom < y + shift < top)
        at = next((shift for shift in free if not _covers(taken, x, y + shift, width)), None)
        if at is None:
            continue
        taken.append((x, y + at, width, 8.0))
        far = abs(at) > 6 or last - aside > 6
        line = {"arrowstyle": "-", "linewidth": 0.7, "color": colour[point], "relpos": (0, 0.5)}
        axes.annotate(
            point.name,
            (point.x, point.y),
            (last - aside + 6, at),
            xycoords=_beside(axes, aside),
            textcoords="offset points",
            fontsize=7,
            va="center",
            arrowprops=line if far else None,
        )


def _covers(taken: list[tuple[float, float, float, float]], x: float, y: float, width: float) -> bool:
    return any(
        abs(y - other) < height and x < left + wide and left < x + width
        for left, other, wide, height in taken
    )
