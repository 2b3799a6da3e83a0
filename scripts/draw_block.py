"""The picture of one block with its positions: `python scripts/draw_block.py` draws docs/block.svg and docs/block.png.

Blue is frozen, orange is trained. A circle in the corner of a box says that a delta can act there.
"""

import argparse
from math import hypot
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from peftlab.figure.picture import plain_text, save

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT = 1100, 640  # units of the page, 100 an inch
PAGE, CARD, LINE = "#FCFCFA", "#FFFFFF", "#C9CDD2"
INK, FAINT = "#1E2630", "#4A5560"
FROZEN, TRAINED = ("#D6E6F4", "#2B6CA3"), ("#FFD9A8", "#C65A00")  # face and edge
STREAM, MIDDLE, TOP = 566, 396, 500  # the residual stream, the middle and the top of a sub-layer
UPPER, LOWER = 174, 78  # heights of the frozen layer and of delta where a site is enlarged


def draw(*paths: Path) -> list[Path]:
    """The whole picture, once for each of `paths`."""
    letters = {"font.family": "DejaVu Sans", "svg.fonttype": "path"}  # the same on every page that shows it
    with plain_text(**letters):
        figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=150)
        figure.patch.set_alpha(0)  # the page is light by itself, also in a dark browser
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
        axes.set_axis_off()
        _area(axes, 4, 4, WIDTH - 4, HEIGHT - 4, PAGE, LINE)
        _stream(axes)
        _attention(axes)
        _ffn(axes)
        _enlarged(axes)
        _words(axes)
        return [save(figure, path) for path in paths]


def _stream(axes: Axes) -> None:
    """The tokens that enter, and the line that both sub-layers add to."""
    _squares(axes, 55, STREAM + 37, (0, -18))
    _name(axes, 62, STREAM - 82, "tokens")
    _say(axes, 62, STREAM - 108, "(prompts)")
    _dot(axes, 75, STREAM + 54)
    _path(axes, (78, STREAM), (1089, STREAM), width=3.2)
    _say(axes, 398, STREAM + 25, "residual stream")


def _attention(axes: Axes) -> None:
    _branch(axes, 162, 634, "norm1")
    _sublayer(axes, 230, 606, "attn")
    for name, y in (("q", MIDDLE + 54), ("k", MIDDLE), ("v", MIDDLE - 54)):
        _path(axes, (162, MIDDLE), (240, MIDDLE), (240, y), (258, y))
        _layer(axes, 285, y, name, 54)
        _path(axes, (312, y), (350, y))
    _area(axes, 350, MIDDLE - 78, 486, MIDDLE + 78, *FROZEN, zorder=3)
    _dot(axes, 486, MIDDLE + 78)
    _say(axes, 418, MIDDLE + 52, "attention", colour=INK)
    _name(axes, 418, MIDDLE + 22, "kv")
    _say(axes, 418, MIDDLE - 6, "(prefixes)")
    _squares(axes, 366, MIDDLE - 54, (18, 0))
    _path(axes, (486, MIDDLE), (518, MIDDLE))
    _layer(axes, 555, MIDDLE, "out", 74)
    _path(axes, (592, MIDDLE), (634, MIDDLE), (634, STREAM - 13))


def _ffn(axes: Axes) -> None:
    _branch(axes, 704, 1056, "norm2")
    _sublayer(axes, 772, 1032, "ffn")
    _path(axes, (704, MIDDLE), (788, MIDDLE))
    _layer(axes, 829, MIDDLE, "mlp1", 82)
    _path(axes, (870, MIDDLE), (887, MIDDLE), head=False)
    axes.add_patch(Circle((902, MIDDLE), 15, facecolor=CARD, edgecolor=FROZEN[1], linewidth=1.4, zorder=3))
    knee = ([892, 901, 910], [MIDDLE - 5, MIDDLE - 4, MIDDLE + 7])
    axes.plot(*knee, color=FROZEN[1], linewidth=1.8, zorder=4)
    _path(axes, (917, MIDDLE), (938, MIDDLE))
    _layer(axes, 979, MIDDLE, "mlp2", 82)
    _path(axes, (1020, MIDDLE), (1056, MIDDLE), (1056, STREAM - 13))


def _enlarged(axes: Axes) -> None:
    """What happens at one site."""
    left, right, low, high = 20, 1080, 20, 270
    glass = [(788, MIDDLE - 21), (870, MIDDLE - 21), (930, high), (728, high)]
    axes.add_patch(Polygon(glass, facecolor=TRAINED[1], alpha=0.08, linewidth=0, zorder=1))
    for line in (glass[::3], glass[1:3]):
        axes.plot(*zip(*line, strict=True), color=TRAINED[1], linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
    _area(axes, left, low, right, high, CARD, TRAINED[1], zorder=1.5)
    _say(axes, 42, 242, "one site, enlarged", ha="left")
    _name(axes, 66, UPPER, "read")
    _path(axes, (98, UPPER), (190, UPPER))
    _path(axes, (136, UPPER), (136, LOWER), (190, LOWER))
    axes.add_patch(Circle((136, UPPER), 5, color=INK, zorder=4))
    _area(axes, 190, UPPER - 26, 346, UPPER + 26, *FROZEN, zorder=3)
    _say(axes, 268, UPPER, "frozen layer", colour=INK)
    _path(axes, (346, UPPER), (483, UPPER))
    _area(axes, 190, LOWER - 26, 300, LOWER + 26, *TRAINED, zorder=3)
    _name(axes, 245, LOWER, "delta")
    _path(axes, (300, LOWER), (336, LOWER))
    _area(axes, 336, LOWER - 26, 464, LOWER + 26, *TRAINED, zorder=3)
    _name(axes, 400, LOWER, "* gamma")
    _path(axes, (464, LOWER), (496, LOWER), (496, UPPER - 13))
    _plus(axes, 496, UPPER)
    _path(axes, (509, UPPER), (546, UPPER))
    _name(axes, 584, UPPER, "write")


def _words(axes: Axes) -> None:
    """The equation of the site, examples, and what the colours mean."""
    _name(axes, 1062, 222, "write <- write + gamma * delta(read)", 14, ha="right")
    for y, name, text in (
        (176, "delta", "low-rank, adapter, prefix, prompt"),
        (143, "gamma", "constant, learned, meta, gated"),
    ):
        _name(axes, 654, y, name, 14, ha="left")
        _say(axes, 728, y, text, ha="left")
    axes.plot([654, 1062], [108, 108], color=LINE, linewidth=1, zorder=2)
    for x, colours, text in ((654, FROZEN, "frozen"), (768, TRAINED, "trained")):
        _area(axes, x, 63, x + 22, 85, *colours, zorder=3)
        _say(axes, x + 32, 74, text, ha="left")
    _dot(axes, 895, 77)
    _say(axes, 908, 74, "delta acts here", ha="left")


def _branch(axes: Axes, x: float, end: float, norm: str) -> None:
    """From the stream down through a norm, and the sum with which the sub-layer comes back at `end`."""
    axes.add_patch(Circle((x, STREAM), 5, color=INK, zorder=4))
    _path(axes, (x, STREAM), (x, MIDDLE), head=False)
    _layer(axes, x, 486, norm, 92)
    _plus(axes, end, STREAM)


def _sublayer(axes: Axes, left: float, right: float, name: str) -> None:
    """The frame around its layers, which is a position too."""
    _area(axes, left, MIDDLE - 95, right, TOP, "#F2F6FA", FROZEN[1], linestyle=(0, (5, 3)))
    _dot(axes, right, TOP)
    _name(axes, right - 20, TOP - 22, name, ha="right")


def _layer(axes: Axes, x: float, y: float, name: str, width: float) -> None:
    _area(axes, x - width / 2, y - 21, x + width / 2, y + 21, *FROZEN, zorder=3)
    _dot(axes, x + width / 2, y + 21)
    _name(axes, x, y, name)


def _area(
    axes: Axes, left: float, low: float, right: float, high: float, face: str, edge: str, **line: Any
) -> None:
    style = {"facecolor": face, "edgecolor": edge, "linewidth": 1.3, "zorder": 0.5, **line}
    shape = f"round,pad=0,rounding_size={10 if high - low > 60 else 7}"
    axes.add_patch(FancyBboxPatch((left, low), right - left, high - low, boxstyle=shape, **style))


def _squares(axes: Axes, x: float, y: float, step: tuple[float, float]) -> None:
    """Six tokens in a row, of which the first two are trained."""
    for number in range(6):
        face, edge = TRAINED if number < 2 else FROZEN
        corner = (x + number * step[0], y + number * step[1])
        axes.add_patch(Rectangle(corner, 14, 14, facecolor=face, edgecolor=edge, linewidth=1.2, zorder=3))


def _dot(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Circle((x - 3, y - 3), 7, facecolor=TRAINED[1], edgecolor=PAGE, linewidth=1.4, zorder=6))


def _plus(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Circle((x, y), 13, facecolor=CARD, edgecolor=INK, linewidth=1.6, zorder=4))
    axes.plot([x - 7, x + 7], [y, y], color=INK, linewidth=1.6, zorder=5)
    axes.plot([x, x], [y - 7, y + 7], color=INK, linewidth=1.6, zorder=5)


def _path(axes: Axes, *points: tuple[float, float], width: float = 1.6, head: bool = True) -> None:
    """A line through `points`, with an arrow's head at the last one."""
    (x, y), (end_x, end_y) = points[-2:]
    size = 4 + 2.6 * width
    far = hypot(end_x - x, end_y - y)
    along = ((end_x - x) / far, (end_y - y) / far)
    base = (end_x - size * along[0], end_y - size * along[1])
    line = [*points[:-1], base if head else points[-1]]
    axes.plot(*zip(*line, strict=True), color=INK, linewidth=width, zorder=2, solid_joinstyle="round")
    if head:
        side = (-size * along[1] / 2, size * along[0] / 2)
        wings = [(base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])]
        axes.add_patch(Polygon([points[-1], *wings], facecolor=INK, linewidth=0, zorder=2))


def _name(axes: Axes, x: float, y: float, text: str, size: float = 16, **style: Any) -> None:
    """A word that can be written on the command line or stands in the equation."""
    _say(axes, x, y, text, size, INK, family="DejaVu Sans Mono", weight="bold", **style)


def _say(
    axes: Axes, x: float, y: float, text: str, size: float = 14, colour: str = FAINT, **style: Any
) -> None:
    centred = {"ha": "center", "va": "center_baseline", "zorder": 5}
    axes.text(x, y, text, fontsize=size, color=colour, **{**centred, **style})


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    draw(DOCS / "block.svg", DOCS / "block.png")
