"""Scatter plots as they are drawn: where points stand, their intervals, their names, and the ink."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftlab.figure.scatter import Point, scatter_plot


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


def test_a_png_with_ink_and_a_place_for_zero(tmp_path: Path) -> None:
    from PIL import Image

    points = [Point("probe", 0, 30, 28, 32), *(Point(f"m{i}", 10.0**i, 40, 39, 41) for i in range(3, 7))]
    path = scatter_plot(points, tmp_path / "s.png", title="a $ b", x_label="x", y_label="y")
    picture = np.asarray(Image.open(path).convert("L"))
    assert picture.shape == (900, 1350)
    assert 0.01 < (picture < 250).mean() < 0.3
