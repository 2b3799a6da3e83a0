"""The picture of tail accuracy against trained parameters: what it is given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import peftlab.figure.scatter
from peftlab.figure.scatter import Point, scatter_plot
from peftlab.report.cell import Cell
from peftlab.report.job import Job
from peftlab.report.scatter import scatter


def cell(peft: str, count: int, *tails: float) -> Cell:
    jobs = []
    for seed, tail in enumerate(tails):
        metrics = {"test/tail_acc": tail, "test/tail_acc_low": tail - 0.1, "test/tail_acc_high": tail + 0.1}
        record = {"num_parameters": {"delta": count, "head": 7, "backbone": 9}}
        jobs.append(Job(Path(peft), "ok", float(seed), {"peft": peft}, seed, "", record, metrics, 1.0))
    return Cell({"peft": peft}, jobs)


def test_points_are_cells_with_their_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(
        peftlab.figure.scatter, "scatter_plot", lambda points, path, **words: drawn.append(points) or path
    )
    cells = [cell("lora", 100, 0.4, 0.6), cell("linear_probe", 0, 0.3, 0.3)]
    assert scatter(tmp_path, cells, seeds=True) == [tmp_path / "scatter.png"]
    half = 12.706 * 0.1  # t_{0.975, 1} s / sqrt 2
    lora, probe = drawn[0]
    assert (lora.name, lora.x, lora.y) == ("lora", 100, pytest.approx(50))
    assert (lora.low, lora.high) == pytest.approx((50 - 100 * half, 50 + 100 * half), rel=1e-3)
    assert (probe.x, probe.y, probe.low) == (0, pytest.approx(30), pytest.approx(30))


def test_no_picture_where_all_train_as_many(tmp_path: Path) -> None:
    assert scatter(tmp_path, [cell("a", 100, 0.4), cell("b", 100, 0.5)], seeds=False) == []
    assert not list(tmp_path.iterdir())


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
