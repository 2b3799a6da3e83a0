"""Heat maps of the placement grid and of gamma, scatter plots, as PNG; no display and none of pyplot's global state."""

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation, Transform

from peftlab.record.whole_file import whole_file

COLOUR_MAP = "viridis"  # safe for colour-blind readers, monotone in print, and no grey: grey means no value
BESIDE = 2.5  # between points of one x, in points of the page
WIDE = 8  # columns beyond which panels stand one above the other


@dataclass(frozen=True)
class Panel:
    """One matrix of a heat map. `text` replaces what is printed in a cell; NaN without a text is hatched."""

    title: str
    value: Float[np.ndarray, "rows columns"]
    text: list[list[str | None]] | None = None
    form: str = ".2f"

    def label(self, row: int, column: int) -> str:
        """What is printed in a cell."""
        text = self.text[row][column] if self.text else None
        if text is not None:
            return text
        value = float(self.value[row, column])
        return "" if np.isnan(value) else format(value, self.form)


def heat_map(
    panels: list[Panel],
    rows: list[str],
    columns: list[str],
    path: Path,
    *,
    title: str,
    row_label: str,
    column_label: str,
) -> Path:
    """Draw panels of one grid (rows x columns), a value in each cell; the PNG appears at `path` in one piece.

    Raises: ValueError when a panel has another shape than the grid.
    """
    shape = (len(rows), len(columns))
    if wrong := [panel.title for panel in panels if panel.value.shape != shape]:
        raise ValueError(f"Panels {wrong} are not {shape[0]} x {shape[1]}.")
    grid = (len(panels), 1) if shape[1] > WIDE else (1, len(panels))
    width, height = max(2.2, 0.62 * shape[1]) + 1.6, max(1.2, 0.42 * shape[0]) + 0.9
    # A user's matplotlibrc, or a dollar in a choice, must not reach TeX or the formula parser.
    with matplotlib.rc_context({"text.usetex": False, "text.parse_math": False, "hatch.linewidth": 0.5}):
        figure = Figure(figsize=(grid[1] * width, grid[0] * height + 0.4), dpi=150, layout="constrained")
        figure.suptitle(fill(title, int(10 * figure.get_figwidth())), fontsize=11)  # 10 letters an inch
        for axes, panel in zip(figure.subplots(*grid, squeeze=False).flat, panels, strict=True):
            _draw(figure, axes, panel, rows, columns)
            axes.set(xlabel=column_label, ylabel=row_label)
        return _save(figure, path)


class Point(NamedTuple):
    """One point of a scatter plot, with its interval in y."""

    name: str
    x: float
    y: float
    low: float
    high: float


def scatter_plot(points: list[Point], path: Path, *, title: str, x_label: str, y_label: str) -> Path:
    """Points with their names and intervals over a logarithmic x that has room for 0; the PNG appears in one piece.

    Points whose x differ by less than 10 % stand side by side, so that their intervals can be told apart.
    """
    with matplotlib.rc_context({"text.usetex": False, "text.parse_math": False}):
        figure = Figure(figsize=(9, 6), dpi=150, layout="constrained")
        axes = figure.subplots()
        colours = cycle(matplotlib.colormaps["tab20"].colors)  # type: ignore[attr-defined]
        colour = dict(zip(points, colours, strict=False))
        shifts = _side_by_side(points)
        for point in points:
            error = [[max(0.0, point.y - point.low)], [max(0.0, point.high - point.y)]]
            style = {"fmt": "o", "markersize": 4, "elinewidth": 0.8, "color": colour[point]}
            style["transform"] = _beside(axes, shifts[point][0])
            axes.errorbar([point.x], [point.y], yerr=np.nan_to_num(error), **style)
        smallest = min((point.x for point in points if point.x > 0), default=1.0)
        axes.set_xscale("symlog", linthresh=smallest)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        left = -0.1 * smallest if any(point.x == 0 for point in points) else 0.7 * smallest
        axes.set_xlim(left, 1.7 * max(smallest, max(point.x for point in points)))
        low, high = min(point.y for point in points), max(point.y for point in points)
        pad = max(2.0, 0.2 * (high - low))
        # from the points: an interval over two seeds can be wider than any accuracy
        axes.set_ylim(low - pad, high + pad)
        _name(figure, axes, shifts, colour)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.set_title(title, fontsize=11)
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        return _save(figure, path)


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
    """Each name to the right of its point and of those beside it, moved up or down until it covers no other."""
    FigureCanvasAgg(figure).draw()  # fixes the scale
    taken: list[tuple[float, float, float, float]] = []
    for point in sorted(points, key=lambda point: point.y):
        aside, last = points[point]
        x, y = _beside(axes, last).transform((point.x, point.y)) * 72 / figure.dpi  # points of the page
        width = 4.2 * len(point.name)
        shifts = sorted(np.arange(-120, 121, 3.0), key=abs)
        at = next((shift for shift in shifts if not _covers(taken, x, y + shift, width)), 0.0)
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


def _draw(figure: Figure, axes: Axes, panel: Panel, rows: list[str], columns: list[str]) -> None:
    low, high = _limits(panel)
    value = np.ma.masked_invalid(panel.value)
    image = axes.imshow(value, cmap=COLOUR_MAP, aspect="auto", vmin=low, vmax=high)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xticks(range(len(columns)), columns, rotation=0 if max(map(len, columns)) < 8 else 30)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    colour = image.to_rgba(value)
    for row, column in np.ndindex(value.shape):
        _cell(axes, panel, row, column, colour[row, column])
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=8)


def _limits(panel: Panel) -> tuple[float, float]:
    """Range of the colours: one single value stands in its middle, and a panel without values has 0..1."""
    finite = panel.value[np.isfinite(panel.value)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    pad = (abs(low) * 0.05 or 0.5) if low == high else 0.0
    return low - pad, high + pad


def _cell(axes: Axes, panel: Panel, row: int, column: int, colour: Float[np.ndarray, "4"]) -> None:
    label, finite = panel.label(row, column), bool(np.isfinite(panel.value[row, column]))
    corner = (column - 0.5, row - 0.5)
    if not finite:
        hatch = "" if label else "////"
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="0.9", edgecolor="0.6", linewidth=0, hatch=hatch))
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="white", linewidth=1.5))
    luminance = colour[:3] ** 2.2 @ (0.2126, 0.7152, 0.0722)
    # At 0.179 black and white have the same contrast (WCAG 2), and each has more on its own side.
    ink = "0.3" if not finite else "white" if luminance < 0.179 else "black"
    size = 8 if max(map(len, label.split("\n"))) < 6 and "\n" not in label else 7
    axes.text(column, row, label, ha="center", va="center", color=ink, fontsize=size)


def _save(figure: Figure, path: Path) -> Path:
    with whole_file(path) as part, part.open("wb") as file:
        FigureCanvasAgg(figure).print_png(file)
    return path
