"""The section of learned gammas: known files, known numbers."""

from pathlib import Path
from typing import Any

import pytest
from fixtures.study import check_drawn, put_run, study_of

from peftlab.record.gamma import COLUMNS
from peftlab.report.page.gamma import section


def gamma_csv(values: dict[str, float]) -> list[Any]:
    rows = []
    for site, value in values.items():
        block, position = site.split(".")
        rows.append([site, block, position, value, 1.0, value, value / 10])
    return [COLUMNS, *rows]


def put_meta(folder: Path, position: str, seed: int, accuracy: float, values: dict[str, float]) -> None:
    rows: list[dict[str, float]] = [{"epoch": 0.5, "train/loss": 1.0}]
    for epoch in (1.0, 2.0):
        rows.append(
            {"epoch": epoch, **{f"outer/gamma/{site}": 1 + epoch * (v - 1) / 2 for site, v in values.items()}}
        )
    choices = {"placement.position": position, "scaling": "meta"}
    put_run(folder, choices, seed, {"mean_acc": accuracy}, tables={"gamma.csv": gamma_csv(values)}, rows=rows)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    for seed in (0, 1):
        put_meta(folder, "[q,v]", seed, 0.5, {"0.q": 1.0 + seed, "1.q": 0.5, "0.v": 2.0, "1.v": 3.0})
        put_meta(folder, "q", seed, 0.7, {"0.q": 1.2, "1.q": 1.4 + seed})
        put_run(folder, {"placement.position": "q", "scaling": "fixed"}, seed, {"mean_acc": 0.9})
    return folder


def test_a_row_for_each_cell_that_learns_the_best_first(sweep: Path) -> None:
    found = section(study_of(sweep))
    assert found is not None
    (table,) = found.tables
    assert [column.name for column in table.columns[:4]] == ["position", "scaling", "runs", "sites"]
    assert [[entry.text for entry in row] for row in table.rows] == [
        ["q", "meta", "2", "2", "1.55", "1.2", "0.q", "1.9", "1.q", "0.15"],
        ["[q,v]", "meta", "2", "4", "1.75", "0.5", "1.q", "3", "1.v", "0.17"],
    ]
    assert found.words[0].startswith(
        "**q meta**, the best cell that learns γ: from 1.2 at 0.q to 1.9 at 1.q over 2 sites"
    )


def test_maps_and_trajectories(sweep: Path, tmp_path: Path) -> None:
    found = section(study_of(sweep))
    assert found is not None
    maps, share, epochs = found.drawings
    svg = check_drawn(maps, tmp_path)
    assert "<title>1.q: 1.9 (1.4 to 2.4 over 2 runs)</title>" in svg
    assert "<title>no site</title>" in svg, "v of the cell at q"
    assert "<title>1.v: 0.3 (0.3 to 0.3 over 2 runs)</title>" in check_drawn(share, tmp_path)
    svg = check_drawn(epochs, tmp_path)
    assert (svg.count("<title>q</title>"), svg.count("<title>v</title>")) == (4, 2), "a line for each site"


def test_many_sites_are_bands(tmp_path: Path) -> None:
    values = {f"{block}.{name}": 1.0 + block for block in range(13) for name in "qv"}
    put_meta(tmp_path / "sweep", "all", 0, 0.5, values)
    found = section(study_of(tmp_path / "sweep"))
    assert found is not None
    svg = check_drawn(found.drawings[2], tmp_path)
    assert (svg.count("<title>q</title>"), svg.count("<title>v</title>")) == (1, 1)
    assert "of more than 12 sites" in svg


def test_blocks_of_a_coarse_gamma_and_runs_without(tmp_path: Path) -> None:
    rows = [{"epoch": 1.0, "gamma/0": 1.0, "gamma/1": 2.0}, {"epoch": 2.0, "gamma/0": 1.5, "gamma/1": 2.5}]
    table = gamma_csv({"0.q": 1.5, "1.q": 2.5})
    put_run(tmp_path / "a", {"x": 1}, 0, {"mean_acc": 0.5}, tables={"gamma.csv": table}, rows=rows)
    found = section(study_of(tmp_path / "a"))
    assert found is not None
    svg = check_drawn(found.drawings[2], tmp_path)
    assert svg.count("<title>0</title>") == svg.count("<title>1</title>") == 1
    put_run(tmp_path / "b", {"x": 1}, 0, {"mean_acc": 0.5})
    assert section(study_of(tmp_path / "b")) is None
