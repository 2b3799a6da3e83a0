"""Curves: what is named, what is grey, and panels that have nothing to show."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from peftlab.figure import curves, picture
from peftlab.figure.curves import MOST, Curve, Panel, Words, draw_curves

NONE = np.full(3, np.nan)
X = np.array([0.5, 1.0, 2.0])


def curve(name: str, y: list[float]) -> Curve:
    values = np.array(y)
    return Curve(name, X, values, values - 1, values + 1)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    kept: list[Figure] = []

    def save(figure: Figure, path: Path) -> Path:
        kept.append(figure)
        return picture.save(figure, path)

    monkeypatch.setattr(curves, "save", save)
    return kept


def test_each_point_says_its_value_and_each_curve_its_name(tmp_path: Path, figures: list[Figure]) -> None:
    panels = [Panel([curve("q", [1, 2, 3]), curve("v", [3, np.nan, 1])], "alpha", "mean (%)", log=True)]
    paths = [tmp_path / f"c.{end}" for end in ("svg", "png", "pdf")]
    assert draw_curves(panels, Words("title", "position", "a note"), *paths) == paths
    svg = paths[0].read_text()
    for said in ("q at 0.5: 1 (0 to 2)", "v at 2: 1 (0 to 2)", "<title>q</title>", "position", "a note"):
        assert said in svg
    assert "v at 1:" not in svg, "there is no value"
    axes = figures[0].axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "mean (%)"


def test_curves_beyond_the_colours_are_grey_and_counted(tmp_path: Path, figures: list[Figure]) -> None:
    many = [curve(f"c{place}", [place, place + 1, place]) for place in range(MOST + 3)]
    draw_curves([Panel(many, "x", "y")], Words("t", "cell"), tmp_path / "c.png")
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [f"c{place}" for place in range(MOST)]
    assert legend.get_title().get_text() == "cell\n3 more in grey"


def test_an_empty_panel_is_left_out_and_an_empty_picture_is_drawn(
    tmp_path: Path, figures: list[Figure]
) -> None:
    full, empty = (
        Panel([curve("q", [1, 2, 3])], "x", "full"),
        Panel([Curve("q", X, NONE, NONE, NONE)], "x", "empty", log=True),
    )
    draw_curves([empty, full, empty], Words("t"), tmp_path / "a.png")
    assert [axes.get_ylabel() for axes in figures[0].axes] == ["full"]
    draw_curves([empty], Words("t"), tmp_path / "b.svg")
    assert [axes.get_ylabel() for axes in figures[1].axes] == ["empty"]


def test_names_stand_in_the_place_of_numbers(tmp_path: Path, figures: list[Figure]) -> None:
    at = np.arange(3.0)
    panel = Panel(
        [Curve("q", at, at, NONE, NONE)], "depth", "y", ticks=["0-2", "3-5", "6-8"], level=(1.0, "chance")
    )
    draw_curves([panel], Words("t"), tmp_path / "c.svg")
    assert [label.get_text() for label in figures[0].axes[0].get_xticklabels()] == ["0-2", "3-5", "6-8"]
    svg = (tmp_path / "c.svg").read_text()
    assert "q at 3-5: 1<" in svg
    assert ">chance<" in svg
