"""Forest plots: one row a method, its interval, and a line to compare with; families in groups, each in its colour."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftlab.figure.colours import COLOURS
from peftlab.figure.picture import plain_text, save

ROW, HEAD = 0.19, 0.26  # inches: a method, the name of a family


class Row(NamedTuple):
    """A method in its family, with (value, low, high) of each panel; NaN where there is none. `aside` stands on the right."""

    name: str
    family: str
    values: tuple[tuple[float, float, float], ...]
    aside: str = ""


class Words(NamedTuple):
    """The title, what each panel's axis says, what stands on the right, and a note below."""

    title: str
    axes: tuple[str, ...]
    aside: str = ""
    note: str = ""


def draw_forest(rows: list[Row], reference: str | None, words: Words, *paths: Path) -> list[Path]:
    """Draw `rows` in the order of their families; each of `paths` appears in one piece.

    reference: the name of the row whose value is a line through every panel. Every interval is drawn whole.
    """
    families = list(dict.fromkeys(row.family for row in rows))
    ordered = [row for family in families for row in rows if row.family == family]
    at = _heights(ordered)
    bottom = max(at.values()) + ROW
    with plain_text():
        figure = Figure(figsize=(3.4 * len(words.axes) + 2.6, bottom + 1.1), dpi=150, layout="constrained")
        figure.suptitle(words.title, fontsize=11)
        if words.note:
            figure.supxlabel(words.note, fontsize=8, color="0.3")
        panels = list(figure.subplots(1, len(words.axes), sharey=True, squeeze=False).flat)
        for number, axes in enumerate(panels):
            _panel(axes, ordered, number, families, at)
            _line(axes, [row.values[number] for row in rows if row.name == reference])
            axes.set_xlabel(words.axes[number], fontsize=9)
        _names(panels[0], ordered, families, at, bottom)
        _aside(panels[-1], ordered, at, words.aside)
        return [save(figure, path) for path in paths]


def _heights(rows: list[Row]) -> dict[tuple[str, str], float]:
    """Inches from the top of each row, and of each family's name, which is (family, "")."""
    at: dict[tuple[str, str], float] = {}
    y = 0.0
    for row in rows:
        if (row.family, "") not in at:
            y += HEAD
            at[row.family, ""] = y
        y += ROW
        at[row.family, row.name] = y
    return at


def _panel(
    axes: Axes, rows: list[Row], number: int, families: list[str], at: dict[tuple[str, str], float]
) -> None:
    for row in rows:
        value, low, high = row.values[number]
        if not np.isfinite(value):
            continue
        colour, y = _colour(families, row.family), at[row.family, row.name]
        if np.isfinite(low + high):
            axes.plot([low, high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        axes.plot(
            [value], [y], "o", color=colour, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6
        )
    axes.grid(axis="x", alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _line(axes: Axes, values: list[tuple[float, float, float]]) -> None:
    for value, _, _ in values[:1]:
        if np.isfinite(value):
            axes.axvline(value, color="0.35", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0.5)


def _names(
    axes: Axes, rows: list[Row], families: list[str], at: dict[tuple[str, str], float], bottom: float
) -> None:
    """Names of methods as labels of the rows, names of families above them in their colour."""
    labels = [(at[family, ""], family) for family in families if family] + [
        (at[row.family, row.name], row.name) for row in rows
    ]
    axes.set_yticks([y for y, _ in labels], [name for _, name in labels], fontsize=8)
    for tick, (_, name) in zip(
        axes.get_yticklabels(), labels[: len([f for f in families if f])], strict=False
    ):
        tick.set(color=_colour(families, name), fontweight="bold", fontsize=8)
    axes.set_ylim(bottom, 0)


def _aside(axes: Axes, rows: list[Row], at: dict[tuple[str, str], float], title: str) -> None:
    place = axes.get_yaxis_transform()
    if title:
        axes.text(1.02, HEAD / 2, title, transform=place, fontsize=8, va="center", color="0.3")
    for row in rows:
        axes.text(
            1.02, at[row.family, row.name], row.aside, transform=place, fontsize=8, va="center", color="0.3"
        )


def _colour(families: list[str], family: str) -> str:
    return COLOURS[families.index(family) % len(COLOURS)]
