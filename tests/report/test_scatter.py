"""The picture of tail accuracy against trained parameters: what it is given."""

from pathlib import Path
from typing import Any

import pytest

import peftlab.figure.scatter
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
        peftlab.figure.scatter,
        "scatter_plot",
        lambda points, *paths, **words: drawn.append(points) or list(paths),
    )
    cells = [cell("lora", 100, 0.4, 0.6), cell("linear_probe", 0, 0.3, 0.3)]
    assert scatter(tmp_path, cells, seeds=True) == [tmp_path / "scatter.png", tmp_path / "scatter.svg"]
    half = 12.706 * 0.1  # t_{0.975, 1} s / sqrt 2
    lora, probe = drawn[0]
    assert (lora.name, lora.x, lora.y) == ("lora", 100, pytest.approx(50))
    assert (lora.low, lora.high) == pytest.approx((50 - 100 * half, 50 + 100 * half), rel=1e-3)
    assert (probe.x, probe.y, probe.low) == (0, pytest.approx(30), pytest.approx(30))


def test_no_picture_where_all_train_as_many(tmp_path: Path) -> None:
    assert scatter(tmp_path, [cell("a", 100, 0.4), cell("b", 100, 0.5)], seeds=False) == []
    assert not list(tmp_path.iterdir())
