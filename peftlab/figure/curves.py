"""Curves with bands: a number over epochs, over alpha, over depth or position, as PNG, SVG and PDF."""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from peftlab.figure.colours import COLOURS
from peftlab.figure.picture import plain_text, save, tip

MOST = len(COLOURS)  # curves that have a colour and a name of their own; further ones are grey
DASHES = (  # in grey print they tell the curves apart: as many as there are colours
    *("-", (0, (5, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (9, 2)), (0, (2.5, 1.2))),
    *((0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1, 4)), (0, (9, 1.5, 3, 1.5))),
)
MARKERS = "os^Dv<>Pp"
ACROSS = 2  # panels side by side
LETTER = 0.07  # inches of the legend for each letter of a name


class Curve(NamedTuple):
    """One curve. low, high: its band, NaN where there is none. With `marked` its points are drawn, and have tips in an SVG."""

    name: str
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]
    marked: bool = True


@dataclass(frozen=True)
class Panel:
    """One pair of axes. level: a dashed line and what it is called. ticks: the names of x = 0, 1, ... where x is no number."""

    curves: list[Curve]
    x_label: str
    y_label: str
    title: str = ""
    level: tuple[float, str] | None = None
    ticks: list[str] = field(default_factory=list)
    log: bool = False  # x has the base 2

    @property
    def has_numbers(self) -> bool:
        return any(np.isfinite(curve.y).any() for curve in self.curves)


class Words(NamedTuple):
    """The title of a picture, what its colours stand for, and a note below."""

    title: str
    legend: str = ""
    note: str = ""


def draw_curves(panels: list[Panel], words: Words, *paths: Path) -> list[Path]:
    """Draw panels side by side, with one legend where several curves are named; each of `paths` appears in one piece.

    A panel without a number is left out, if another one has some.
    """
    panels = [panel for panel in panels if panel.has_numbers] or panels[:1]
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    beside = LETTER * max(map(len, names[:MOST]), default=0) if len(names) > 1 else 0.0
    width = 4.6 * across + 0.4
    with plain_text():
        figure = Figure(figsize=(width + beside, 3.1 * down + 0.6), dpi=150, layout="constrained")
        letters = int(10 * width)
        figure.suptitle(fill(words.title, letters), fontsize=11, x=0.02, ha="left")
        if words.note:
            figure.supxlabel(fill(words.note, int(1.6 * letters)), fontsize=8, color="0.3")
        grid = list(figure.subplots(down, across, squeeze=False).flat)
        for axes in grid[len(panels) :]:
            axes.remove()
        handles: dict[str, Any] = {}
        for axes, panel in zip(grid, panels, strict=False):
            handles |= _draw(axes, panel, names)
        shown = [name for name in names if name in handles and name]
        if len(shown) > 1:
            place: Any = {"loc": "outside right upper", "fontsize": 8, "title_fontsize": 8, "frameon": False}
            rest = f"\n{len(names) - len(shown)} more in grey" if len(names) > len(shown) else ""
            figure.legend(
                [handles[name] for name in shown], shown, title=(words.legend + rest) or None, **place
            )
        return [save(figure, path) for path in paths]


def _draw(axes: Axes, panel: Panel, names: list[str]) -> dict[str, Any]:
    """The panel; the lines that a legend names come back."""
    handles = {}
    for curve in panel.curves:
        place = names.index(curve.name)
        colour = COLOURS[place] if place < MOST else "0.75"
        style: dict[str, Any] = {
            "color": colour,
            "linewidth": 1.4,
            "linestyle": DASHES[place] if place < MOST else "-",
        }
        marker: dict[str, Any] = (
            {"marker": MARKERS[place % len(MARKERS)], "markersize": 4} if curve.marked else {}
        )
        line = axes.plot(curve.x, curve.y, zorder=3 if place < MOST else 1, **style)[0]
        tip(line, curve.name)
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        if curve.marked and place < MOST:
            _points(axes, curve, panel, {"color": colour, **marker})
        if place < MOST:
            handles[curve.name] = Line2D([], [], **{**style, **marker})
    if panel.level is not None and np.isfinite(panel.level[0]):
        axes.axhline(panel.level[0], color="0.35", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0.5)
        place_of: Any = {
            "transform": axes.get_yaxis_transform(),
            "fontsize": 8,
            "color": "0.3",
            "va": "bottom",
        }
        axes.text(0.01, panel.level[0], panel.level[1], **place_of)
    _axes(axes, panel)
    return handles


def _points(axes: Axes, curve: Curve, panel: Panel, style: dict[str, Any]) -> None:
    """Each point by itself, with what says its value under the pointer, which finds it by a wide edge that is not seen."""
    edge: Any = {"markeredgecolor": (0, 0, 0, 0), "markeredgewidth": 7, "clip_on": False, "zorder": 4}
    for x, y, low, high in zip(curve.x, curve.y, curve.low, curve.high, strict=True):
        if np.isfinite(y):
            at = panel.ticks[round(float(x))] if panel.ticks else f"{x:g}"
            band = f" ({low:.3g} to {high:.3g})" if np.isfinite(low + high) else ""
            (point,) = axes.plot([x], [y], linestyle="", **style, **edge)
            tip(point, f"{curve.name} at {at}: {y:.4g}{band}")


def _axes(axes: Axes, panel: Panel) -> None:
    if panel.log and panel.has_numbers:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks)
        axes.set_xlim(-0.3, len(panel.ticks) - 0.7)
    axes.set_xlabel(panel.x_label, fontsize=9)
    axes.set_ylabel(panel.y_label, fontsize=9)
    axes.set_title(panel.title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
