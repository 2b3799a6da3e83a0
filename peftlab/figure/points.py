"""Points by class: a number of each class over how many items it has, groups by marker, and the mean of each group as a line."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from peftlab.figure.colours import COLOURS
from peftlab.figure.picture import plain_text, save, tip

MARKERS = "os^Dv<>P"
TIPPED = 200  # points that have a tip in an SVG, series by series


class Series(NamedTuple):
    """One number of each class. x: above 0. groups: of each point. names: what a tip says of it."""

    name: str
    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]
    groups: list[str]
    names: list[str]


class Words(NamedTuple):
    """The title of a picture, its axes, and a note below."""

    title: str
    x_label: str
    y_label: str
    note: str = ""


def draw_points(series: list[Series], words: Words, *paths: Path) -> list[Path]:
    """Draw the series over a logarithmic x; each of `paths` appears in one piece. The first is hollow, the others are filled."""
    groups = list(dict.fromkeys(group for one in series for group in one.groups))
    with plain_text():
        figure = Figure(figsize=(7.4, 4.2), dpi=150, layout="constrained")
        figure.suptitle(words.title, fontsize=11)
        if words.note:
            figure.supxlabel(words.note, fontsize=8, color="0.3")
        axes = figure.subplots()
        axes.set_xscale("log")
        for place, one in enumerate(series):
            _draw(axes, one, place, groups)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel(words.x_label, fontsize=9)
        axes.set_ylabel(words.y_label, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        handles = [_handle("o", place, one.name) for place, one in enumerate(series)]
        handles += [_handle(_marker(groups, group), -1, group) for group in groups if group]
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
        return [save(figure, path) for path in paths]


def _draw(axes: Axes, series: Series, place: int, groups: list[str]) -> None:
    own = np.array(series.groups)
    for group in groups:
        x, y = series.x[own == group], series.y[own == group]
        if not len(x) or not np.isfinite(y).any():
            continue
        axes.plot(x, y, _marker(groups, group), **_style(place))
        if group:
            mean, pad = float(np.nanmean(y)), 1.04
            line: dict[str, Any] = {"color": COLOURS[place], "linewidth": 1.6, "alpha": 0.8}
            (drawn,) = axes.plot(
                [x.min() / pad, x.max() * pad], [mean, mean], "--" if place == 0 else "-", **line
            )
            tip(drawn, f"{series.name}, mean of {group}: {mean:.1f}")
    if len(series.x) <= TIPPED:
        for x_one, y_one, name in zip(series.x, series.y, series.names, strict=True):
            if np.isfinite(y_one):
                (point,) = axes.plot([x_one], [y_one], "o", ms=9, alpha=0.0)
                tip(point, f"{name}: {y_one:.1f}")


def _style(place: int) -> dict[str, Any]:
    """Hollow for the first series: in grey print, too, it is told from the others."""
    colour = COLOURS[place] if place >= 0 else "0.4"
    face = "none" if place <= 0 else colour
    return {"markersize": 5, "markeredgecolor": colour, "markerfacecolor": face, "color": colour}


def _handle(marker: str, place: int, name: str) -> Line2D:
    return Line2D([], [], linestyle="none", marker=marker, label=name, **_style(place))


def _marker(groups: list[str], group: str) -> str:
    return MARKERS[groups.index(group) % len(MARKERS)]
