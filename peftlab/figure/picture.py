"""What every picture shares: text that is taken as it is, the same bytes each time, and files that appear in one piece."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from peftlab.record.whole_file import renew

TIP = "tip:"  # how the id of what has a tip begins


@contextmanager
def plain_text(**settings: Any) -> Iterator[None]:
    """Inside of it a user's matplotlibrc, or a dollar in a choice, reaches neither TeX nor the formula parser.

    A letter that the font does not have becomes a box, without a word. Text in an SVG stays text, which can be searched and read aloud.
    """
    text = {"text.usetex": False, "text.parse_math": False, "pdf.fonttype": 42}
    font = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}
    rc: Any = {**text, **font, "svg.hashsalt": "peftlab", "svg.fonttype": "none", **settings}
    with matplotlib.rc_context(rc), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def tip(artist: Artist, text: str) -> None:
    """What an SVG says of a part of it when the pointer rests there."""
    artist.set_gid(tip_id(text))


def tip_id(text: str) -> str:
    """The id of a part that has this tip."""
    return TIP + " ".join(text.split())


def save(figure: Figure, path: Path) -> Path:
    """Draw a PNG, an SVG or a PDF, as the name ends, without a display, a date, or pyplot's global state."""
    file, dpi = BytesIO(), figure.dpi
    if path.suffix == ".svg":
        FigureCanvasSVG(figure).print_svg(file, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    elif path.suffix == ".pdf":
        FigureCanvasPdf(figure).print_pdf(
            file, metadata={"CreationDate": None, "Creator": None, "Producer": None}
        )
    else:
        FigureCanvasAgg(figure).print_png(file)
    figure.dpi = dpi  # SVG and PDF are 72 to the inch, and a PNG after them is not
    figure.set_layout_engine("none")  # it stands now: a second file of the same figure needs no second search
    content = file.getvalue()
    return renew(path, _with_tips(content) if path.suffix == ".svg" else content)


def _with_tips(svg: bytes) -> bytes:
    """The tips as titles, which browsers show and screen readers say."""
    return re.sub(
        rb"<g id=(['\"])tip:(.*?)\1>", rb'<g class="tip" pointer-events="all"><title>\2</title>', svg
    )
