"""What every picture shares: text that is taken as it is, the same bytes each time, and files that appear in one piece."""

from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from peftlab.record.whole_file import renew


def plain_text(**settings: Any) -> AbstractContextManager[None]:
    """Inside of it a user's matplotlibrc, or a dollar in a choice, reaches neither TeX nor the formula parser."""
    text = {"text.usetex": False, "text.parse_math": False}
    rc: Any = {**text, "svg.hashsalt": "peftlab", "svg.fonttype": "path", **settings}
    return matplotlib.rc_context(rc)


def save(figure: Figure, path: Path) -> Path:
    """Draw a PNG or an SVG, as the name ends, without a display, a date, or pyplot's global state."""
    file, dpi = BytesIO(), figure.dpi
    if path.suffix == ".svg":
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
        figure.dpi = dpi  # an SVG is 72 to the inch, and a PNG after it is not
    else:
        FigureCanvasAgg(figure).print_png(file)
    return renew(path, file.getvalue())
