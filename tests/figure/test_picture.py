"""Text is taken as it is, and a picture appears whole, without a display."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from peftlab.figure import picture
from peftlab.figure.picture import plain_text, save


def test_a_user_s_settings_reach_no_text_and_come_back() -> None:
    with matplotlib.rc_context({"text.usetex": True, "text.parse_math": True, "hatch.linewidth": 3.0}):
        before = dict(matplotlib.rcParams)
        with plain_text(**{"hatch.linewidth": 0.5}):
            text = Figure().text(0, 0, r"$\frac{x")
            assert (text.get_usetex(), text.get_parse_math()) == (False, False)
            assert matplotlib.rcParams["hatch.linewidth"] == 0.5
        assert dict(matplotlib.rcParams) == before
        with pytest.raises(OSError, match="disk full"), plain_text():
            raise OSError("disk full")
        assert dict(matplotlib.rcParams) == before


def test_the_picture_has_its_size_and_its_colour(tmp_path: Path) -> None:
    path = save(Figure(figsize=(2, 1), dpi=50, facecolor=(1, 0, 0)), tmp_path / "a.png")
    assert path == tmp_path / "a.png"
    pixels = image.imread(path)
    assert pixels.shape == (50, 100, 4)
    assert (pixels == [1, 0, 0, 1]).all()


def test_an_svg_drawn_before_it_leaves_the_png_as_it_is(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1), dpi=50)
    with plain_text():
        first, second = (save(figure, tmp_path / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    assert image.imread(save(figure, tmp_path / "a.png")).shape == (50, 100, 4)


def test_the_old_picture_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(Figure(figsize=(1, 1)), tmp_path / "a.png")
    first = path.read_bytes()

    def half(self: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(picture.FigureCanvasAgg, "print_png", half)
    with pytest.raises(OSError, match="disk full"):
        save(Figure(figsize=(1, 1), facecolor="black"), path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_pyplot_is_not_needed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from matplotlib.figure import Figure; from peftlab.figure.picture import save; "
        "save(Figure(figsize=(1, 1)), Path(sys.argv[1])); print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
