"""Scatter plots as they are drawn: where points stand, their intervals, their names, and the ink."""

from itertools import combinations
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from peftlab.figure import picture
from peftlab.figure import scatter as figure
from peftlab.figure.scatter import Point, scatter_plot

WORDS = {"title": "a $ b", "x_label": "x_{", "y_label": "y"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved while a test runs."""
    figures, save = [], picture.save
    monkeypatch.setattr(figure, "save", lambda fig, path: figures.append(fig) or save(fig, path))
    return figures


def names(drawn: list[Figure]) -> dict[str, Annotation]:
    texts = drawn[-1].axes[0].texts
    return {text.get_text(): text for text in texts if isinstance(text, Annotation)}


def test_points_of_one_size_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are drawn: in the order of y, around their x; a point alone stands at its x."""
    drawn: dict[str, float] = {}

    def errorbar(axes: Any, x: Any, y: Any, **style: Any) -> None:
        at = [transform.transform((x[0], y[0]))[0] for transform in (style["transform"], axes.transData)]
        drawn[str(y[0])] = (at[0] - at[1]) * 72 / 150

    monkeypatch.setattr("matplotlib.axes.Axes.errorbar", errorbar)
    points = [Point("a", 105, 50, 49, 51), Point("b", 100, 40, 39, 41), Point("c", 99, 60, 59, 61)]
    points.append(Point("alone", 200, 45, 44, 46))
    scatter_plot(points, tmp_path / "s.png", title="t", x_label="x", y_label="y")
    assert drawn == pytest.approx({"50": 0.0, "40": -2.5, "60": 2.5, "45": 0.0})


def test_every_point_has_its_interval_or_none(tmp_path: Path, drawn: list[Figure]) -> None:
    points = [Point("a", 10, 40, 38, 45), Point("alone", 1000, 50, nan, nan)]
    scatter_plot(points, tmp_path / "s.png", **WORDS)
    (axes,) = drawn[-1].axes
    assert [[*map(float, line.get_xydata()[0])] for line in axes.lines if len(line.get_xdata())] == [
        [10, 40],
        [1000, 50],
    ]
    bars = [collection.get_segments()[0] for collection in axes.collections]
    assert [[*map(float, bar[:, 1])] for bar in bars] == [[38, 45], [50, 50]]


@pytest.mark.parametrize("smallest", [0, 1, 500])
def test_every_point_is_inside_of_the_axes(tmp_path: Path, drawn: list[Figure], smallest: float) -> None:
    points = [
        Point("a", smallest, 30, -400, 400),
        Point("b", 3000, 40, 39, 41),
        Point("c", 10**8, 35, 34, 36),
    ]
    scatter_plot(points, tmp_path / "s.png", **WORDS)
    (axes,) = drawn[-1].axes
    place = [axes.transAxes.inverted().transform(axes.transData.transform((p.x, p.y))) for p in points]
    assert (np.array(place) > 0).all()
    assert (np.array(place) < 1).all()
    assert axes.get_ylim() == (28, 42)  # of the points: not of an interval that is wider than any accuracy


def test_names_cover_no_other(tmp_path: Path, drawn: list[Figure]) -> None:
    points = [Point(f"method_{i}", 1000 + i, 40 + 0.01 * i, 39, 41) for i in range(12)]
    points += [Point("far $away$", 10**6, 60, 59, 61)]
    scatter_plot(points, tmp_path / "s.png", **WORDS)
    found = names(drawn)
    assert found.keys() == {point.name for point in points}
    boxes = {name: Text.get_window_extent(text) for name, text in found.items()}  # without the arrow
    assert not [pair for pair in combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    assert found["far $away$"].arrow_patch is None  # it stands beside its point
    assert found["method_0"].arrow_patch is not None


def test_a_png_with_ink_and_a_place_for_zero(tmp_path: Path) -> None:
    from PIL import Image

    points = [Point("probe", 0, 30, 28, 32), *(Point(f"m{i}", 10.0**i, 40, 39, 41) for i in range(3, 7))]
    (path,) = scatter_plot(points, tmp_path / "s.png", title="a $ b", x_label="x", y_label="y")
    picture = np.asarray(Image.open(path).convert("L"))
    assert picture.shape == (900, 1350)
    assert 0.01 < (picture < 250).mean() < 0.3


def test_words_are_taken_as_they_are_and_ticks_are_counts(tmp_path: Path, drawn: list[Figure]) -> None:
    points = [Point("a", 1000, 30, 29, 31), Point("b", 10**6, 40, 39, 41)]
    scatter_plot(points, tmp_path / "s.png", **WORDS)
    (axes,) = drawn[-1].axes
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == tuple(WORDS.values())
    assert {"1,000", "10,000", "1,000,000"} <= {tick.get_text() for tick in axes.get_xticklabels()}


@pytest.mark.parametrize(("low", "high"), [(0.4, 1.1), (550, 700), (3, 40), (100, 10**6)])
def test_every_axis_has_numbers(tmp_path: Path, drawn: list[Figure], low: float, high: float) -> None:
    scatter_plot([Point("a", low, 40, 38, 45), Point("b", high, 50, 49, 51)], tmp_path / "s.png", **WORDS)
    (axes,) = drawn[-1].axes
    shown = [text.get_text() for text in axes.get_xticklabels() if text.get_text()]
    assert 2 <= len(shown) <= 8
    assert len(set(shown)) == len(shown)
    for text, place in zip(shown, axes.get_xticks(), strict=True):
        assert float(text.replace(",", "")) == pytest.approx(place)


def test_names_stay_in_the_axes(tmp_path: Path, drawn: list[Figure]) -> None:
    """Of 40 points at one place some have no name rather than one on the title or on another name."""
    points = [
        Point(f"a rather long name {place}", 100 + place, 50 + place / 9, 45, 55) for place in range(40)
    ]
    scatter_plot(points, tmp_path / "s.png", **WORDS)
    (axes,) = drawn[-1].axes
    box, renderer = axes.get_window_extent(), drawn[-1].canvas.get_renderer()
    found = [Text.get_window_extent(text, renderer) for text in names(drawn).values()]
    assert 5 < len(found) < 40
    assert all(box.y0 - 12 < one.y0 and one.y1 < box.y1 + 12 for one in found)
