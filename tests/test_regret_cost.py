"""scripts/regret_cost.py: what ways to choose sites lose and cost, on numbers written by hand and on recorded folders."""

import csv
import json
from itertools import product
from math import sqrt
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from fixtures.scripts import script_of
from scipy.stats import t

from peftlab.record.status import FILE as STATUS

script_of("replay_race")
SCRIPT = script_of("regret_cost")
SEEDS = (0, 1, 2)
# mean and tail on test by seed; of the cells of the grid validation, too
CELLS = {
    "depth=0-2 position=q": ((0.50, 0.60, 0.70), (0.30, 0.30, 0.30), 0.9),
    "depth=0-2 position=v": ((0.55, 0.66, 0.71), (0.20, 0.25, 0.21), 0.2),
}
OTHERS = {
    "plop": ((0.52, 0.60, 0.65), (0.31, 0.33, 0.29), 12.0),
    SCRIPT.UNIT: ((0.60, 0.61, 0.62), (0.10, 0.20, 0.30), 10.0),
    f"{SCRIPT.ALL}meta": ((0.58, 0.61, 0.68), (0.30, 0.30, 0.30), 25.0),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = []
    for cell, (mean, tail, val) in CELLS.items():
        for seed in SEEDS:
            ends = [[epoch, val, val - 0.05, val + 0.05] for epoch in range(1, 9)]
            rows += [[SCRIPT.GRID, cell, seed, 8.0, *own, mean[seed], tail[seed]] for own in ends]
    for way, (mean, tail, seconds) in OTHERS.items():
        rows += [[way, "", seed, seconds, 0, "", "", "", mean[seed], tail[seed]] for seed in SEEDS]
    rows.append(["plop", "", 7, 12.0, 0, "", "", "", 0.1, 0.1])  # a seed that the others lack
    path = tmp_path / "runs.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([SCRIPT.HEAD, *rows])
    return path


def test_regret_is_paired_with_the_best_cell_of_each_metric(file: Path) -> None:
    found = SCRIPT.ways(SCRIPT.load(file))
    mean, low, high = found["plop"].regret["mean"]
    lost = [100 * (0.55 - 0.52), 100 * (0.66 - 0.60), 100 * (0.71 - 0.65)]  # to v, the best on the mean
    half = t.ppf(0.975, 2) * sqrt(sum((x - 5.0) ** 2 for x in lost) / 2 / 3)
    assert (mean, low, high) == pytest.approx((5.0, 5.0 - half, 5.0 + half))
    assert found["plop"].regret["tail"][0] == pytest.approx(100 * (0.30 - 0.31))  # to q, the best on the tail
    assert found["a cell at random"].regret["mean"][0] == pytest.approx(100 * (0.64 - (0.60 + 0.64) / 2))


def test_the_grid_and_the_race_are_chosen_by_validation(file: Path) -> None:
    found = SCRIPT.ways(SCRIPT.load(file))
    lost = [fmean(draw) for draw in product((5.0, 6.0, 1.0), repeat=3)]  # q is chosen
    ends = np.percentile(lost, [2.5, 97.5])
    for way in ("whole grid", "race"):
        assert found[way].regret["mean"] == pytest.approx((4.0, *ends))
        assert found[way].regret["tail"][0] == pytest.approx(0.0)


def test_costs_are_in_runs_of_all_sites(file: Path) -> None:
    found = SCRIPT.ways(SCRIPT.load(file))
    assert {way: own.cost for way, own in found.items()} == pytest.approx(
        {
            "plop": 1.2,
            SCRIPT.UNIT: 1.0,
            f"{SCRIPT.ALL}meta": 2.5,
            "whole grid": 1.6,
            "race": 0.8 * (1 + 1 / 8),  # the other cell stops at the first rung
            "a cell at random": 0.8,
        }
    )
    assert list(found) == sorted(found, key=lambda way: found[way].cost)


def test_the_page_and_the_picture(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SCRIPT, "PLACE", file.parent)
    monkeypatch.setattr("sys.argv", ["regret_cost.py"])
    SCRIPT.main()
    page = (file.parent / "selectors.md").read_text()
    assert page in capsys.readouterr().out
    assert "2 cells, 3 seeds" in page
    assert page.count("\n| ") == 1 + 6
    assert (file.parent / "selectors.png").stat().st_size > 10_000


def test_folders_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (
        ("rule", {"placement": "plop", "seed": "1"}, 2),
        ("cell", {"placement.depth": "0-2", "placement.position": "q", "seed": "1"}, 2),
        ("all", {"placement.depth": "all", "placement.position": "[attn_linear,mlp]", "scaling": "meta"}, 0),
    )
    for number, (name, choices, epochs) in enumerate(found):
        folder = tmp_path / "sweep" / name
        folder.mkdir(parents=True)
        own = {"number": number, "choices": choices, "seed": 1, "state": "ok"}
        flat = {"scaling": choices.get("scaling", "fixed")}
        result = {
            **own,
            "run_id": name,
            "flat": flat,
            "seconds": {"start": 1.0, "train": 2.5},
            "metrics": {"test/mean_acc": 0.5, "test/tail_acc": 0.25},
        }
        (folder / STATUS).write_text(json.dumps({**own, "name": name, "flat": flat}))
        (folder / "result.json").write_text(json.dumps(result))
        lines = [json.dumps({"epoch": epoch, "val/mean_acc": epoch / 10}) for epoch in range(1, epochs + 1)]
        (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(SCRIPT, "PLACE", tmp_path / "out")
    monkeypatch.setattr("sys.argv", ["regret_cost.py", "record", str(tmp_path / "sweep")])
    SCRIPT.main()
    with (tmp_path / "out" / "runs.csv").open(newline="") as rows:
        said = [(row["way"], row["cell"], row["epoch"], row["seconds"]) for row in csv.DictReader(rows)]
    cell = "depth=0-2 position=q"
    assert said == [
        ("plop", "", "1", "3.50"),
        ("plop", "", "2", "3.50"),
        (SCRIPT.GRID, cell, "1", "3.50"),
        (SCRIPT.GRID, cell, "2", "3.50"),
        (f"{SCRIPT.ALL}meta", "", "0", "3.50"),
    ]


def test_the_published_table_is_that_of_the_published_runs() -> None:
    runs = SCRIPT.load(SCRIPT.PLACE / "runs.csv")
    grid = runs.ways[SCRIPT.GRID]
    made = SCRIPT.lines(SCRIPT.ways(runs), len(next(iter(grid.values()))), len(grid))
    assert (SCRIPT.PLACE / "selectors.md").read_text() == "\n".join(made) + "\n"
