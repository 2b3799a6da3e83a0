"""What a sweep's report says when its data changed between its runs."""

import csv
import json
from pathlib import Path

import pytest
from fixtures.sweep import grid

from peftlab.report.report import write_report
from peftlab.report.table import print_table

pytestmark = pytest.mark.usefixtures("drawn")


def cell_row(folder: Path, depth: str, position: str) -> dict[str, str]:
    with (folder / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return next(r for r in rows if (r["placement.depth"], r["placement.position"]) == (depth, position))


def read_other(folder: Path, job: str, **inputs: str) -> None:
    path = folder / job / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "inputs": inputs}))


def test_runs_on_different_data_are_not_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = grid(tmp_path / "sweep", (0, 1))
    for path in folder.glob("*=*"):
        read_other(folder, path.name, **{"dataset.path": "1a" * 32})
    assert write_report(folder, baseline=None).mixed == []
    read_other(folder, "placement.depth=0-2,placement.position=q,seed=1", **{"dataset.path": "2b" * 32})
    report = write_report(folder, baseline=None)
    assert report.exit_code == 1
    assert report.mixed == [
        "placement.depth=0-2,placement.position=q: its runs read different content at dataset.path"
        " (placement.depth=0-2,placement.position=q,seed=0: 1a1a1a1a, placement.depth=0-2,placement.position=q,seed=1:"
        " 2b2b2b2b), so they are not averaged; legal: resume=false runs them again"
    ]
    row = cell_row(folder, "0-2", "q")
    assert (row["mean_acc"], row["mean_acc_n"], row["num_ok"]) == ("", "0", "2")
    assert cell_row(folder, "0-2", "v")["mean_acc_n"] == "2"
    print_table(report)
    assert "its runs read different content at dataset.path" in capsys.readouterr().out


def test_cells_on_different_data_are_told(tmp_path: Path) -> None:
    folder = grid(tmp_path / "sweep", (0,))
    for path in folder.glob("*=*"):
        read_other(folder, path.name, **{"dataset.path": ("1a" if "position=q" in path.name else "2b") * 32})
    report = write_report(folder, baseline=None)
    assert report.exit_code == 1
    assert len(report.mixed) == 1
    assert report.mixed[0].startswith("the cells read different content at dataset.path (")
