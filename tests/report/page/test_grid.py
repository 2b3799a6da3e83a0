"""The grid of a page: maps with the best cells framed, effects with the error that all cells share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.grid import CROSSED, DEPTHS, POSITIONS, made
from fixtures.study import check_drawn, put_run, study_of

from peftlab.figure import curves
from peftlab.report.page.grid import section


def test_pictures_and_statistics_of_a_grid(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", CROSSED, 4)
    found = section(study_of(folder))
    assert found is not None
    assert [drawing.name for drawing in found.drawings] == ["heatmap", "heatmap-difference", "effects"]
    drawn = {drawing.name: check_drawn(drawing, tmp_path / "out") for drawing in found.drawings}
    assert "mlp1 in 9-11: mean 7" in drawn["heatmap"]
    assert "frame: cannot be told from the best" in drawn["heatmap"]
    assert "mlp1 in 9-11: mean +" in drawn["heatmap-difference"]
    assert [one.name for one in found.inner] == ["statistics-mean"]
    anova, best = found.inner[0].tables
    assert [row[0].text for row in anova.rows] == ["depth", "position", "depth x position"]
    assert len(best.rows) == len(DEPTHS) * len(POSITIONS)
    assert [entry.text for entry in best.rows[0][:2]] == ["9-11", "mlp1"]
    assert best.rows[0][4].text == "yes"
    for row in best.rows:
        assert row[3].low <= 0 <= row[3].high, "Hsu's intervals are constrained"
        assert (row[4].text == "yes") == (row[3].high > 0)


def test_effects_are_the_means_of_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(curves, "draw_curves", lambda panels, words, *paths: shown.extend(panels) or [*paths])
    study = study_of(made(tmp_path / "s", CROSSED, 3))
    found = section(study)
    assert found is not None
    found.drawings[-1].draw(tmp_path / "e.svg")
    (panel,) = shown
    by_name = {curve.name: curve for curve in panel.curves}
    for place, depth in enumerate(DEPTHS):
        for position in POSITIONS:
            cell = next(
                cell
                for cell in study.cells
                if cell.choices == {"placement.depth": depth, "placement.position": position}
            )
            assert by_name[position].y[place] == pytest.approx(100 * cell.mean("mean_acc").mean)
    middle = by_name["mean of positions"]
    assert middle.y == pytest.approx(np.mean([by_name[name].y for name in POSITIONS], axis=0))
    values = np.array([[cell.values("mean_acc")[seed] for cell in study.cells] for seed in range(3)])
    beside = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    error = 100 * np.sqrt((beside**2).sum() / (2 * 11))
    from scipy.stats import t

    assert middle.high - middle.y == pytest.approx(t.ppf(0.975, 22) * error / np.sqrt(3 * len(POSITIONS)))


def test_without_seeds_there_are_maps_alone_and_without_a_grid_nothing(tmp_path: Path) -> None:
    found = section(study_of(made(tmp_path / "one", CROSSED, 1)))
    assert found is not None
    assert [drawing.name for drawing in found.drawings] == ["heatmap", "heatmap-difference"]
    assert not found.inner
    put_run(tmp_path / "none", {"peft": "lora"}, 0, {"mean_acc": 0.5})
    assert section(study_of(tmp_path / "none")) is None
