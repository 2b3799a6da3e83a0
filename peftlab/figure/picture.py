"""What every picture shares: text that is taken as it is, the same bytes each time, and files that appear in one piece."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from peftlab.record.whole_file import renew


@contextmanager
def plain_text(**settings: Any) -> Iterator[None]:
    """Inside of it a user's matplotlibrc, or a dollar in a choice, reaches neither TeX nor the formula parser.

    A letter that the font does not have becomes a box, without a word.
    """
    text = {"text.usetex": False, "text.parse_math": False}
    rc: Any = {**text, "svg.hashsalt": "peftlab", "svg.fonttype": "path", **settings}
    with matplotlib.rc_context(rc), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def save(figure: Figure, path: Path) -> Path:
    """Draw a PNG or an SVG, as the name ends, without a display, a date, or pyplot's global state."""
    file, dpi = BytesIO(), figure.dpi
    if path.suffix == ".svg":
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
        figure.dpi = dpi  # an SVG is 72 to the inch, and a PNG after it is not
    else:
        FigureCanvasAgg(figure).print_png(file)
    figure.set_layout_engine("none")  # it stands now: a second file of the same figure needs no second search
    return renew(path, file.getvalue())
