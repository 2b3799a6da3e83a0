"""What every picture shares: text that is taken as it is, and a file that appears in one piece."""

from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from peftlab.record.whole_file import renew


def plain_text(**settings: Any) -> AbstractContextManager[None]:
    """Inside of it a user's matplotlibrc, or a dollar in a choice, reaches neither TeX nor the formula parser."""
    rc: Any = {"text.usetex": False, "text.parse_math": False, **settings}
    return matplotlib.rc_context(rc)


def save(figure: Figure, path: Path) -> Path:
    """Draw without a display and without pyplot's global state."""
    file = BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return renew(path, file.getvalue())
