"""Heat maps of the placement grid and of gamma, as PNG and SVG."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from peftlab.figure.colours import BLACK
from peftlab.figure.picture import plain_text, save, tip

COLOUR_MAP = "viridis"  # safe for colour-blind readers, monotone in print, and no grey: grey means no value
DIFFERENCE_MAP = "RdBu"  # red below 0 and blue above; in grey print the signs of the numbers tell them apart
WIDE = 8  # columns beyond which panels stand one above the other
ACROSS = 3  # panels side by side at most; four are two by two


@dataclass(frozen=True)
class Panel:
    """One matrix of a heat map. `text` replaces what is printed in a cell; NaN without a text is hatched.

    unit: what the colour bar says. differences: colours are symmetric about 0. weak: cells that get a ring, framed: cells
    that get a frame; the note of the picture explains both. tips: what an SVG says of each cell. limits: the ends of the
    colours, where panels are compared.
    """

    title: str
    value: Float[np.ndarray, "rows columns"]
    text: list[list[str | None]] | None = None
    form: str = ".2f"
    unit: str = ""
    differences: bool = False
    weak: Bool[np.ndarray, "rows columns"] | None = None
    framed: Bool[np.ndarray, "rows columns"] | None = None
    tips: list[list[str]] | None = None
    limits: tuple[float, float] | None = None

    def label(self, row: int, column: int) -> str:
        """What is printed in a cell."""
        text = self.text[row][column] if self.text else None
        if text is not None:
            return text
        value = float(self.value[row, column])
        return "" if np.isnan(value) else format(value, self.form)


class Words(NamedTuple):
    """The title of a picture, what its rows and columns are called, and what its marks mean."""

    title: str
    row_label: str
    column_label: str
    note: str = ""


def heat_map(
    panels: list[Panel], rows: list[str], columns: list[str], words: Words, *paths: Path
) -> list[Path]:
    """Draw panels of one grid (rows x columns), a value in each cell; each of `paths` appears in one piece.

    Raises: ValueError when a panel has another shape than the grid.
    """
    shape = (len(rows), len(columns))
    if wrong := [panel.title for panel in panels if panel.value.shape != shape]:
        raise ValueError(f"Panels {wrong} are not {shape[0]} x {shape[1]}.")
    across = 1 if shape[1] > WIDE else len(panels) if len(panels) <= ACROSS else 2
    grid = (-(-len(panels) // across), across)
    width, height = max(2.2, 0.62 * shape[1]) + 1.7, max(1.2, 0.42 * shape[0]) + 1.0
    with plain_text(**{"hatch.linewidth": 0.5}):
        figure = Figure(figsize=(grid[1] * width, grid[0] * height + 0.5), dpi=150, layout="constrained")
        letters = int(10 * figure.get_figwidth())  # ten an inch
        figure.suptitle(fill(words.title, letters), fontsize=11)
        if words.note:
            figure.supxlabel(fill(words.note, int(1.6 * letters)), fontsize=8, color="0.3")
        for axes, panel in zip(figure.subplots(*grid, squeeze=False).flat, panels, strict=True):
            _draw(figure, axes, panel, rows, columns)
            axes.set(xlabel=words.column_label, ylabel=words.row_label)
        return [save(figure, path) for path in paths]


def _draw(figure: Figure, axes: Axes, panel: Panel, rows: list[str], columns: list[str]) -> None:
    low, high = panel.limits or _limits(panel)
    value = np.ma.masked_invalid(panel.value)
    colours = DIFFERENCE_MAP if panel.differences else COLOUR_MAP
    image = axes.imshow(value, cmap=colours, aspect="auto", vmin=low, vmax=high, visible=False)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xticks(range(len(columns)), columns, rotation=0 if max(map(len, columns)) < 8 else 30)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    colour = image.to_rgba(value)
    for row, column in np.ndindex(value.shape):
        ink = _cell(axes, panel, row, column, colour[row, column])
        if panel.weak is not None and panel.weak[row, column]:
            axes.plot(column + 0.36, row - 0.32, "o", ms=3.5, mfc="none", mec=ink, mew=0.8)
        if panel.framed is not None and panel.framed[row, column]:
            frame: dict[str, Any] = {
                "fill": False,
                "edgecolor": ink,
                "linewidth": 1.6,
                "in_layout": False,
                "clip_on": False,
            }
            axes.add_patch(Rectangle((column - 0.43, row - 0.43), 0.86, 0.86, **frame))
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=18)
    bar.set_label(panel.unit, fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=8)


def _limits(panel: Panel) -> tuple[float, float]:
    """Range of the colours: one single value stands in its middle, and a panel without values has 0..1."""
    finite = panel.value[np.isfinite(panel.value)]
    if panel.differences:
        most = float(np.abs(finite).max(initial=0.0)) or 1.0
        return -most, most
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    pad = (abs(low) * 0.05 or 0.5) if low == high else 0.0
    return low - pad, high + pad


def _cell(axes: Axes, panel: Panel, row: int, column: int, colour: Float[np.ndarray, "4"]) -> str:
    """Draw one cell; the colour of its text comes back."""
    label, finite = panel.label(row, column), bool(np.isfinite(panel.value[row, column]))
    corner = (column - 0.5, row - 0.5)
    if not finite:
        hatch = "" if label else "////"
        no_value: dict[str, Any] = {"facecolor": "0.9", "edgecolor": "0.6", "linewidth": 0, "hatch": hatch}
        axes.add_patch(Rectangle(corner, 1, 1, in_layout=False, **no_value))
    face: Any = {"facecolor": colour} if finite else {"fill": False}
    edge = Rectangle(corner, 1, 1, edgecolor="white", linewidth=1.5, in_layout=False, clip_on=False, **face)
    axes.add_patch(edge)
    if panel.tips is not None:
        tip(edge, panel.tips[row][column])
    luminance = colour[:3] ** 2.2 @ (0.2126, 0.7152, 0.0722)
    # At 0.179 black and white have the same contrast (WCAG 2), and each has more on its own side.
    ink = "0.25" if not finite else "white" if luminance < 0.179 else BLACK
    size = 8 if max(map(len, label.split("\n"))) < 6 and "\n" not in label else 7
    place: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "in_layout": False,
    }  # inside the axes, whose room is measured without it
    axes.text(column, row, label, color=ink, fontsize=size, **place)
    return ink
