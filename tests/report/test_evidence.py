"""statistics.md of grids whose truth is known."""

import csv
from pathlib import Path

import numpy as np
import pytest
from fixtures.grid import CROSSED, DEPTHS, made
from fixtures.sweep import grid

from peftlab.report.cell import group_cells
from peftlab.report.evidence import write_evidence
from peftlab.report.grid import complete
from peftlab.report.job import read
from peftlab.report.metric import Metric
from peftlab.report.report import write_report


def text_of(folder: Path, baseline: str | None = None) -> str:
    write_report(folder, baseline=baseline)
    return (folder / "statistics.md").read_text()


@pytest.mark.usefixtures("drawn")
def test_a_crossed_grid(tmp_path: Path) -> None:
    text = text_of(made(tmp_path, CROSSED))
    assert "8 seeds, 4 x 3 cells. A run varies by" in text
    assert text.count("| <0.0001 |") >= 3
    assert "**Best cells** (cannot be told from the best at 95 %, Hsu): 1 of 12. mlp1 in 9-11" in text
    assert "**Additivity**: not additive (p <0.0001)" in text
    assert "are v in 9-11: it lies outside the set of best cells; the best is mlp1 in 9-11." in text or (
        "it lies outside the set of best cells" in text
    )
    assert "Nothing speaks against the pooled error." in text


@pytest.mark.usefixtures("drawn")
def test_a_flat_grid_claims_nothing(tmp_path: Path) -> None:
    text = text_of(made(tmp_path, np.zeros((4, 3))))
    assert "no interaction found" in text
    assert "**Differences to the baseline**: 0 of 11 cells differ" in text
    (best,) = [line for line in text.splitlines() if line.startswith("- **Best cells**")]
    assert int(best.split("Hsu): ")[1].split(" of ")[0]) >= 9
    assert "Two variances" not in text, "no answers of the items"


@pytest.mark.usefixtures("drawn")
def test_both_variances_of_the_largest_difference(tmp_path: Path) -> None:
    folder = made(tmp_path, CROSSED, seeds=4, answers=True)
    text = text_of(folder, "placement.depth=0-2,placement.position=q")
    (line,) = [line for line in text.splitlines() if "Two variances" in line]
    right = {}
    for depth, position in (("9-11", "mlp1"), ("0-2", "q")):
        shares = []
        for seed in range(4):
            with (folder / f"{depth}-{position}-{seed}" / "predictions.csv").open(newline="") as file:
                shares.append(np.mean([row["class"] == row["predicted"] for row in csv.DictReader(file)]))
        right[depth] = np.array(shares)
    difference = 100 * (right["9-11"] - right["0-2"])
    assert f"best cell less baseline {difference.mean():+.1f}" in line
    assert f"{difference.std(ddof=1) / 2:.2f} over seeds" in line


def test_a_grid_with_a_hole_or_one_seed_has_no_analysis(tmp_path: Path) -> None:
    (cells,) = [group_cells(read(grid(tmp_path / "one", (0,))))]
    assert complete(cells, Metric("mean_acc")) is None
    assert write_evidence(tmp_path, cells, cells[0]) == []
    cells = group_cells(read(made(tmp_path / "many", CROSSED, 3)))
    assert complete(cells[:-1], Metric("mean_acc")) is None
    found = complete(cells, Metric("mean_acc"))
    assert found is not None
    assert found.value.shape == (3, 4, 3)
    assert found.depths == list(DEPTHS)
    assert found.value[:, 3, found.positions.index("mlp1")].mean() > 70
    assert complete(cells, Metric("medium_acc")) is None


def test_a_seed_that_lacks_a_cell_is_left_out_and_said(tmp_path: Path) -> None:
    folder = made(tmp_path / "sweep", CROSSED, 4)
    (folder / "0-2-q-3" / "result.json").unlink()
    cells = group_cells(read(folder))
    found = complete(cells, Metric("mean_acc"))
    assert found is not None
    assert (len(found.value), found.left_out) == (3, 1)
    (file,) = write_evidence(tmp_path, cells, cells[0])
    assert "3 seeds, 4 x 3 cells; 1 seeds lack a cell and are left out" in file.read_text()
