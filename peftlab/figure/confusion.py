"""Confusion matrices: what the items of each class are taken for."""

from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peftlab.figure.colours import BLACK
from peftlab.figure.heat_map import COLOUR_MAP, DIFFERENCE_MAP
from peftlab.figure.picture import plain_text, save, tip

NUMBERED = 25  # classes up to which numbers stand in the cells, and names beside them
LETTERS = 14  # of a class name


class Matrix(NamedTuple):
    """Rows are true classes, columns predicted ones, in % of the class, or differences of two such in points; NaN of a class
    without an item."""

    title: str
    value: Float[np.ndarray, "classes classes"]
    differences: bool = False


def draw_confusion(
    matrices: list[Matrix], classes: list[str], words: tuple[str, str], *paths: Path
) -> list[Path]:
    """Draw matrices side by side; each of `paths` appears in one piece. words: the title and a note."""
    side = min(5.2, max(3.4, 0.34 * len(classes) + 1.2))
    with plain_text():
        size = (side * len(matrices) + 1.2 * len(matrices), side + 1.0)
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        figure.suptitle(words[0], fontsize=11)
        figure.supxlabel(words[1], fontsize=8, color="0.3")
        for axes, matrix in zip(figure.subplots(1, len(matrices), squeeze=False).flat, matrices, strict=True):
            _draw(figure, axes, matrix, classes)
        return [save(figure, path) for path in paths]


def _draw(figure: Figure, axes: Axes, matrix: Matrix, classes: list[str]) -> None:
    value = np.ma.masked_invalid(matrix.value)
    most = float(np.abs(value).max()) if value.count() else 1.0
    limits = (-(most or 1.0), most or 1.0) if matrix.differences else (0.0, 100.0)
    image = axes.imshow(
        value,
        cmap=DIFFERENCE_MAP if matrix.differences else COLOUR_MAP,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="none",
    )
    axes.set_facecolor("0.9")
    axes.set_title(matrix.title, fontsize=10)
    axes.set(xlabel="predicted", ylabel="true")
    if len(classes) <= NUMBERED:
        names = [
            shorten(name, LETTERS, placeholder="…") if " " in name else name[:LETTERS] for name in classes
        ]
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(names)), names)
        _numbers(axes, matrix, image.to_rgba(value), classes)
    axes.tick_params(length=0 if len(classes) <= NUMBERED else 3, labelsize=8)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=24)
    bar.set_label("percentage points" if matrix.differences else "% of the class", fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=8)


def _numbers(
    axes: Axes, matrix: Matrix, colour: Float[np.ndarray, "classes classes 4"], classes: list[str]
) -> None:
    """The numbers that are not 0 as shown; each has a tip that says it in words."""
    for row, column in np.ndindex(matrix.value.shape):
        value = float(matrix.value[row, column])
        if not np.isfinite(value) or abs(value) < 0.5:
            continue
        luminance = colour[row, column][:3] ** 2.2 @ (0.2126, 0.7152, 0.0722)
        ink = "white" if luminance < 0.179 else BLACK
        sign = "+" if matrix.differences else ""
        text = axes.text(
            column,
            row,
            f"{value:{sign}.0f}",
            color=ink,
            fontsize=7,
            ha="center",
            va="center",
            in_layout=False,
        )
        unit = "points" if matrix.differences else "%"
        tip(text, f"{classes[row]} taken for {classes[column]}: {value:{sign}.1f} {unit}")
