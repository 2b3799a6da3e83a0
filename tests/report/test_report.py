"""The report of a sweep from made-up folders: 24 cells x 3 seeds failed, diverged and half-written jobs."""

import csv
import json
import shutil
import subprocess
import sys
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf
from scipy import stats

from peftlab.command.sweep import main
from peftlab.errors import UserError
from peftlab.figure import heat_map as figure
from peftlab.figure.heat_map import Panel, Words
from peftlab.report import callback
from peftlab.report.callback import SweepReport
from peftlab.report.cell import METRICS, group_cells
from peftlab.report.heat_map import heat_grid
from peftlab.report.job import read
from peftlab.report.report import write_report
from peftlab.report.table import print_table

DEPTHS = ("9-11", "0-2", "6-8", "3-5")  # in no order, as a folder is listed
POSITIONS = ("mlp2", "q", "out", "k", "mlp1", "v")


def accuracy(depth: str, position: str, seed: int, metric: str) -> float:
    draw = np.random.default_rng(
        [DEPTHS.index(depth), POSITIONS.index(position), seed, METRICS.index(metric)]
    )
    return float(draw.uniform(0.2, 0.9))


def result(depth: str, position: str, seed: int) -> dict[str, Any]:
    metrics: dict[str, float | None] = {}
    for name in ("mean_acc", "head_acc", "tail_acc"):
        value = accuracy(depth, position, seed, name)
        metrics |= {f"test/{name}": value, f"test/{name}_low": value - 0.1, f"test/{name}_high": value + 0.05}
        metrics["test/" + name.replace("_acc", "_num")] = 120.0
    first, last = map(int, depth.split("-"))
    return {
        "metrics": metrics | {"test/medium_acc": None, "train/loss": 0.5},
        "wall_s": 60.0 + seed,
        "memory_mib": 512.0,
        "num_parameters": {"delta": 3072, "gamma": 3, "head": 640, "selected": 0, "backbone": 5_500_000},
        "sites": [
            {"block": b, "position": position, "rank": 8, "multiplier": 1.0} for b in range(first, last + 1)
        ],
        "diverged_at": None,
    }


def put(folder: Path, state: str, choices: dict[str, Any], seed: int, **more: Any) -> Path:
    """One job's folder as a run leaves it; `result=None` leaves none."""
    folder.mkdir(parents=True)
    status = {"state": state, "choices": choices, "seed": seed, "name": folder.name, "error": None}
    status |= {"traceback": None, "wall_s": None}
    record = more.pop("result", None)
    (folder / "status.json").write_text(json.dumps(status | more))
    if record is not None:
        (folder / "result.json").write_text(json.dumps(record))
    return folder


def name_of(depth: str, position: str, seed: int) -> str:
    return f"placement.depth={depth},placement.position={position},seed={seed}"


def grid(folder: Path, seeds: tuple[int, ...]) -> Path:
    """24 cells of finished jobs."""
    for depth in DEPTHS:
        for position in POSITIONS:
            for seed in seeds:
                choices = {"placement.depth": depth, "placement.position": position}
                path = folder / name_of(depth, position, seed)
                put(path, "ok", choices, seed, result=result(depth, position, seed))
    (folder / "multirun.yaml").write_text("hydra: {}")
    (folder / ".submitit").mkdir()
    (folder / "wandb").mkdir()
    (folder / "wandb" / "debug.log").write_text("no job")
    return folder


def again(folder: Path, depth: str, position: str, seed: int, state: str, **more: Any) -> Path:
    """Replace one finished job by one in another state."""
    path = folder / name_of(depth, position, seed)
    shutil.rmtree(path)
    return put(path, state, {"placement.depth": depth, "placement.position": position}, seed, **more)


@pytest.fixture(scope="module")
def broken_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With q 0-2 partly diverged, k 0-2 failed, v 0-2 diverged, and five unfinished jobs."""
    folder = grid(tmp_path_factory.mktemp("made") / "sweep", (0, 1, 2))
    chance = result("0-2", "q", 2)
    chance["metrics"]["test/mean_acc"], chance["diverged_at"] = 0.01, 17
    again(folder, "0-2", "q", 2, "diverged", result=chance)
    for seed in (0, 1, 2):
        again(
            folder, "0-2", "k", seed, "failed", error="CUDA out of memory [q,v]\nsecond line", traceback="..."
        )
        again(folder, "0-2", "v", seed, "diverged", result={"metrics": {}, "diverged_at": 3, "sites": None})
    again(folder, "3-5", "q", 0, "interrupted")
    again(folder, "3-5", "q", 1, "running")
    (folder / name_of("3-5", "k", 0) / "result.json").write_text('{"metrics": {"test/mean_')  # cut off
    (folder / name_of("3-5", "k", 1) / "status.json").write_text("")
    shutil.rmtree(folder / name_of("3-5", "k", 2))
    (folder / name_of("3-5", "k", 2)).mkdir()
    return folder


@pytest.fixture
def broken(broken_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(broken_once, tmp_path / "sweep"))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What is handed to the figure, by file name."""
    calls: dict[str, dict[str, Any]] = {}

    def keep(panels: list[Panel], rows: list[str], columns: list[str], path: Path, words: Words) -> Path:
        calls[path.name] = {"panels": panels, "rows": rows, "columns": columns, **words._asdict()}
        return path

    monkeypatch.setattr(figure, "heat_map", keep)
    return calls


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cell_row(folder: Path, depth: str, position: str) -> dict[str, str]:
    wanted = (depth, position)
    found = [
        r for r in rows(folder / "cells.csv") if (r["placement.depth"], r["placement.position"]) == wanted
    ]
    assert len(found) == 1
    return found[0]


def of(depth: str, position: str, metric: str, seeds: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    return np.array([accuracy(depth, position, seed, metric) for seed in seeds])


# reading


def test_states_of_broken_jobs(broken: Path) -> None:
    jobs = {job.folder.name: job for job in read(broken)}
    assert len(jobs) == 72
    assert jobs[name_of("0-2", "q", 0)].state == "ok"
    assert jobs[name_of("0-2", "q", 2)].state == "diverged"
    assert jobs[name_of("3-5", "q", 0)].state == "interrupted"
    assert jobs[name_of("3-5", "q", 1)].state == "running"
    for seed in range(3):
        job = jobs[name_of("3-5", "k", seed)]
        # the first still has its status; a folder's name is no record
        choices = {} if seed else {"placement.depth": "3-5", "placement.position": "k"}
        assert (job.state, job.seed, job.choices) == ("missing", None if seed else 0, choices)
    assert jobs[name_of("0-2", "k", 1)].error == "CUDA out of memory [q,v]"


def test_a_null_metric_is_nan_and_a_wrong_one_too(tmp_path: Path) -> None:
    put(
        tmp_path / "job",
        "ok",
        {},
        0,
        result={"metrics": {"test/mean_acc": None, "test/tail_acc": "x", "a": True}},
    )
    assert all(map(isnan, read(tmp_path)[0].metrics.values()))


@pytest.mark.parametrize("text", ["[1, 2]", "nonsense", '{"state": "cooking"}', '{"state": 3}', "\udcff"])
def test_a_status_that_makes_no_sense_is_missing(tmp_path: Path, text: str) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "status.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [job.state for job in read(tmp_path)] == ["missing"]


def test_job_order_is_the_recorded_number_else_natural(tmp_path: Path) -> None:
    for name in ("a=10", "a=9", "a=1"):
        put(tmp_path / name, "running", {}, 0)
    assert [job.folder.name for job in read(tmp_path)] == ["a=1", "a=9", "a=10"]
    put(tmp_path / "z", "running", {}, 0, number=1)
    put(tmp_path / "y", "running", {}, 0, number=2)
    assert [job.folder.name for job in read(tmp_path)][:2] == ["z", "y"]


def test_choices_of_any_kind_are_written_as_typed(tmp_path: Path) -> None:
    choices = {"placement.position": ["q", "v"], "scaling.value": 0.1, "a": None, "b": True, "seed": 4}
    put(tmp_path / "job", "running", choices, 4)
    job = read(tmp_path)[0]
    assert job.choices == {"placement.position": "[q,v]", "scaling.value": "0.1", "a": "null", "b": "true"}
    assert job.seed == 4


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")])
def test_a_folder_without_jobs_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "sweep")
    with pytest.raises(UserError, match="sweep"):
        read(tmp_path / "sweep")


def test_a_run_with_two_folders_counts_once(tmp_path: Path) -> None:
    same = {**result("0-2", "q", 0), "run_id": "1a2b"}
    put(tmp_path / "peft-lora-1a2b", "ok", {"peft": "lora"}, 0, result=same, number=0)
    put(tmp_path / "seed-0-1a2b", "ok", {"peft": "lora"}, 0, result=same, number=1)
    put(tmp_path / "seed-1-3c4d", "ok", {"peft": "lora"}, 1, result={**same, "run_id": "3c4d"}, number=2)
    assert [job.folder.name for job in read(tmp_path)] == ["peft-lora-1a2b", "seed-1-3c4d"]


def test_two_finished_jobs_of_one_cell_and_seed_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        put(tmp_path / name, "ok", {"a": "1"}, 0, result={"metrics": {}})
    with pytest.raises(UserError, match="one and two"):
        group_cells(read(tmp_path))


# sweep.csv


@pytest.mark.usefixtures("drawn")
def test_sweep_csv_has_every_job_with_all_it_measured(broken: Path) -> None:
    write_report(broken, baseline=None)
    table = {row["job"]: row for row in rows(broken / "sweep.csv")}
    assert len(table) == 72
    row = table[name_of("6-8", "mlp1", 1)]
    assert (row["placement.depth"], row["placement.position"], row["seed"]) == ("6-8", "mlp1", "1")
    for metric in ("mean_acc", "head_acc", "tail_acc"):
        assert float(row[f"test/{metric}"]) == accuracy("6-8", "mlp1", 1, metric)  # every digit
    assert row["test/medium_acc"] == ""
    assert (row["wall_s"], row["memory_mib"], row["train/loss"]) == ("61.0", "512.0", "0.5")
    assert (row["num_delta"], row["num_gamma"], row["num_head"]) == ("3072", "3", "640")
    assert (row["num_selected"], row["num_backbone"]) == ("0", "5500000")
    assert table[name_of("0-2", "q", 2)]["diverged_at"] == "17"
    assert table[name_of("0-2", "q", 2)]["test/mean_acc"] == "0.01"
    assert table[name_of("0-2", "k", 0)]["error"] == "CUDA out of memory [q,v]"
    assert [row["state"] for row in table.values()].count("missing") == 3


# cells.csv


@pytest.mark.usefixtures("drawn")
def test_cells_csv_against_scipy(broken: Path) -> None:
    write_report(broken, baseline="placement.depth=9-11,placement.position=mlp2")
    assert len(rows(broken / "cells.csv")) == 24 + 1  # and the jobs of which nothing is known
    row = cell_row(broken, "6-8", "out")
    for metric in ("mean_acc", "head_acc", "tail_acc"):
        own, other = of("6-8", "out", metric), of("9-11", "mlp2", metric)
        low, high = stats.t.interval(0.95, 2, loc=own.mean(), scale=stats.sem(own))
        assert float(row[metric]) == pytest.approx(own.mean())
        assert float(row[f"{metric}_half"]) == pytest.approx((high - low) / 2)
        paired = stats.ttest_rel(own, other).confidence_interval(0.95)
        assert float(row[f"{metric}_diff"]) == pytest.approx((own - other).mean())
        assert float(row[f"{metric}_diff_half"]) == pytest.approx((paired.high - paired.low) / 2)
        assert (row[f"{metric}_n"], row[f"{metric}_diff_n"]) == ("3", "3")
    assert (row["medium_acc"], row["medium_acc_n"]) == ("", "0")
    assert [r["placement.depth"] for r in rows(broken / "cells.csv") if r["baseline"] == "1"] == ["9-11"]


@pytest.mark.usefixtures("drawn")
def test_cells_with_jobs_that_did_not_finish(broken: Path) -> None:
    """A diverged seed is counted beside the mean, and pairs are those of common seeds."""
    write_report(broken, baseline="placement.depth=0-2,placement.position=q")
    row, own = cell_row(broken, "0-2", "q"), of("0-2", "q", "mean_acc", (0, 1))
    assert float(row["mean_acc"]) == pytest.approx(own.mean())
    assert (row["mean_acc_n"], row["num_ok"], row["num_diverged"]) == ("2", "2", "1")
    assert (float(row["mean_acc_diff"]), float(row["mean_acc_diff_half"])) == (0, 0)
    difference = of("6-8", "v", "tail_acc", (0, 1)) - of("0-2", "q", "tail_acc", (0, 1))
    row = cell_row(broken, "6-8", "v")
    assert float(row["tail_acc_diff"]) == pytest.approx(difference.mean())
    assert (row["tail_acc_n"], row["tail_acc_diff_n"]) == ("3", "2")
    row = cell_row(broken, "3-5", "q")  # seed 2 alone finished, and the baseline has no seed 2
    assert float(row["mean_acc"]) == accuracy("3-5", "q", 2, "mean_acc")
    assert (row["mean_acc_half"], row["mean_acc_diff"], row["mean_acc_diff_n"]) == ("", "", "0")
    row = cell_row(broken, "0-2", "k")
    assert (row["mean_acc"], row["mean_acc_n"], row["num_failed"]) == ("", "0", "3")


@pytest.mark.usefixtures("drawn")
def test_one_seed_needs_no_cells_csv(tmp_path: Path) -> None:
    report = write_report(grid(tmp_path / "sweep", (0,)), baseline=None)
    assert [file.name for file in report.files] == ["sweep.csv", "heatmap.png", "table.md"]
    assert not (tmp_path / "sweep" / "cells.csv").exists()


# baseline


@pytest.mark.usefixtures("drawn")
def test_the_default_baseline_is_the_first_cell(broken: Path) -> None:
    report = write_report(broken, baseline=None)
    assert (
        report.baseline.choices
        == report.jobs[0].choices
        == {"placement.depth": "0-2", "placement.position": "k"}
    )


@pytest.mark.parametrize(
    ("baseline", "value"),
    [
        ("placement.position=[q,v],scaling.value=1", "[q,v]"),
        (" placement.position='[q, v]' , scaling.value=1", "[q,v]"),
        ("placement.position=[q,v]", "[q,v]"),
        ("scaling.value=1,placement.position=k,seed=0", "k"),
    ],
)
def test_a_baseline_is_read_as_typed(tmp_path: Path, baseline: str, value: str) -> None:
    for position in ("k", "[q,v]"):
        choices = {"placement.position": position, "scaling.value": "1"}
        put(tmp_path / position, "ok", choices, 0, result={"metrics": {}})
    assert write_report(tmp_path, baseline=baseline).baseline.choices["placement.position"] == value


@pytest.mark.parametrize(
    ("baseline", "word"),
    [
        ("placement.depth=0-3,placement.position=q", "no cell"),
        ("placement.depth=0-2", "more than one"),
        ("q", "no"),
    ],
)
def test_a_wrong_baseline_names_the_cells_and_costs_no_result(
    broken: Path, drawn: dict[str, Any], baseline: str, word: str
) -> None:
    with pytest.raises(UserError, match=word) as error:
        write_report(broken, baseline=baseline)
    assert f"baseline={baseline}" in str(error.value)
    assert str(error.value).count("placement.depth=9-11") == 6
    assert len(rows(broken / "sweep.csv")) == 72
    assert "heatmap.png" in drawn


# heat map


def test_heat_map_positions_values_and_marks(broken: Path, drawn: dict[str, dict[str, Any]]) -> None:
    write_report(broken, baseline=None)
    call = drawn["heatmap.png"]
    assert call["rows"] == ["q", "k", "v", "out", "mlp1", "mlp2"]
    assert call["columns"] == ["0-2", "3-5", "6-8", "9-11"]
    assert "n = 1-3" in call["title"]
    special = {("q", "0-2"), ("k", "0-2"), ("v", "0-2"), ("q", "3-5"), ("k", "3-5")}
    for panel, metric in zip(call["panels"], ("mean_acc", "tail_acc"), strict=True):
        assert metric.removesuffix("_acc") in panel.title
        for r, position in enumerate(call["rows"]):
            for c, depth in enumerate(call["columns"]):
                if (position, depth) not in special:
                    assert panel.value[r, c] == pytest.approx(100 * of(depth, position, metric).mean())
                    assert panel.label(r, c) == f"{panel.value[r, c]:.1f}"
        partial = 100 * of("0-2", "q", metric, (0, 1)).mean()
        assert [panel.label(r, 0) for r in range(3)] == [f"{partial:.1f}\n2/3", "fail", "div"]
        assert panel.label(0, 1) == f"{100 * accuracy('3-5', 'q', 2, metric):.1f}\n1/3"
        assert panel.label(1, 1) == ""
        assert np.isnan(panel.value[1:3, 0]).all()
        assert np.isnan(panel.value[1, 1])


def test_depths_are_ordered_by_their_real_first_block(tmp_path: Path) -> None:
    """`-3--1` is 9-11 by the sites of a finished job; a depth that never finished is ordered by its text."""
    spans = {
        "-3--1": [9, 10, 11],
        "50%-75%": [6, 7, 8],
        "[3,5]": [3, 5],
        "10": [],
        "0-11": [0, 11],
        "0-2": [0, 2],
        "-1": [],
    }
    for i, (depth, blocks) in enumerate(spans.items()):
        choices = {"placement.depth": depth, "placement.position": ("ffn", "[q,v]", "attn", "q")[i % 4]}
        record = {"metrics": {}, "sites": [{"block": b, "position": "q"} for b in blocks]}
        put(tmp_path / f"job{i}", "ok" if blocks else "failed", choices, 0, result=record if blocks else None)
    row, column, _ = heat_grid(group_cells(read(tmp_path)))
    assert column == ["0-2", "0-11", "[3,5]", "50%-75%", "-3--1", "10", "-1"]
    assert row == ["q", "attn", "ffn", "[q,v]"]


def test_further_choices_get_a_picture_each(tmp_path: Path, drawn: dict[str, dict[str, Any]]) -> None:
    for value in ("1", "10/3"):
        for depth in ("0", "1"):
            choices = {
                "placement.depth": depth,
                "placement.position": "q",
                "scaling.value": value,
                "peft": "lora",
            }
            record = {"metrics": {"test/mean_acc": float(depth) + float(value[0]) / 10}}
            put(tmp_path / f"{depth}{value[0:2]}", "ok", choices, 0, result=record)
    report = write_report(tmp_path, baseline=None)
    assert len(drawn) == 2
    assert {file.name for file in report.files} == {"sweep.csv", "table.md", *drawn}
    assert [call["title"].split(", ")[1] for call in drawn.values()] == [
        "scaling.value=1",
        "scaling.value=10/3",
    ]
    assert [call["panels"][0].value for call in drawn.values()] == [pytest.approx(np.array([[10, 110]]))] * 2
    assert all("/" not in name and name.startswith("heatmap-scaling.value=1") for name in drawn)


@pytest.mark.parametrize(
    "choices",
    [
        [{"a": "1"}, {"a": "2"}],
        [{"placement.depth": "0"}, {"placement.depth": "1"}],
        [{"placement.depth": "0", "placement.position": "q"}] * 2,
    ],
)
def test_no_heat_map_without_a_grid(
    tmp_path: Path, drawn: dict[str, Any], choices: list[dict[str, str]]
) -> None:
    for seed, choice in enumerate(choices):
        put(tmp_path / str(seed), "ok", choice, seed, result={"metrics": {}})
    write_report(tmp_path, baseline=None)
    assert not drawn


# the report as a whole


@pytest.mark.usefixtures("drawn")
def test_report_counts_and_exit_code(broken: Path) -> None:
    report = write_report(broken, baseline=None)
    assert (report.num_ok, report.num_failed, report.num_diverged) == (60, 3, 4)
    assert (report.num_interrupted, report.num_unfinished) == (1, 4)
    assert report.exit_code == 1
    assert [file.name for file in report.files] == ["sweep.csv", "heatmap.png", "cells.csv", "table.md"]


@pytest.mark.parametrize(
    ("state", "code"),
    [("ok", 0), ("diverged", 0), ("failed", 1), ("interrupted", 1), ("running", 1), ("missing", 1)],
)
def test_exit_code_of_one_job(tmp_path: Path, state: str, code: int) -> None:
    put(tmp_path / "a", "ok", {"a": "1"}, 0, result={"metrics": {}})
    put(tmp_path / "b", state, {"a": "2"}, 0, result={"metrics": {}})
    assert write_report(tmp_path, baseline=None).exit_code == code


def test_rebuilding_changes_nothing(broken: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(p.relative_to(broken)): p.read_bytes() for p in broken.rglob("*") if p.is_file()}

    write_report(broken, baseline=None)
    first = content()
    write_report(broken, baseline=None)
    assert content() == first
    assert {"sweep.csv", "cells.csv", "heatmap.png"} <= first.keys()


@pytest.mark.usefixtures("drawn")
def test_table(broken: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    print_table(write_report(broken, baseline=None))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "6-8" in line and " out " in line]
    for metric in ("mean_acc", "head_acc", "tail_acc"):
        own = 100 * of("6-8", "out", metric)
        assert f"{own.mean():.1f} ±{stats.t.ppf(0.975, 2) * stats.sem(own):.1f}" in line
    assert line.split()[-2:] == ["3", "0:01:01"]
    cells = [line.split() for line in lines if line.strip().startswith(DEPTHS)]
    assert len(cells) == 24
    assert [cell[:3] for cell in cells[-2:]] == [["0-2", "k", "failed"], ["3-5", "k", "missing"]]
    assert any("2 ok, 1 diverged" in line for line in lines)
    assert f"failed: {name_of('0-2', 'k', 0)}: CUDA out of memory [q,v]" in lines
    files = ("sweep.csv", "heatmap.png", "cells.csv", "table.md")
    assert lines[-4:] == [str(broken / name) for name in files]


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_table_of_80_columns_cuts_nothing_off(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    seeds: tuple[int, ...],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    report = write_report(grid(tmp_path / "sweep", seeds), baseline=None)
    capsys.readouterr()
    print_table(report)
    text = capsys.readouterr().out.partition("interval over")[0]
    assert "…" not in text
    assert {*DEPTHS, *POSITIONS} <= set(text.split())
    assert max(map(len, text.splitlines()[:-1])) <= 80


@pytest.mark.usefixtures("drawn")
def test_the_table_has_every_column_and_says_once_what_is_constant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    varied = {f"group.key{i}": f"value-{i}" for i in range(5)}
    for i, position in enumerate(("q", "k")):
        choices = {"dataset": "digits_lt", "placement.depth": "0", "placement.position": position}
        choices |= {key: f"{value}-{i}" for key, value in varied.items()}
        put(tmp_path / position, "ok", choices, 0, result=result("0-2", position, 0))
    print_table(write_report(tmp_path, baseline=None))
    text = capsys.readouterr().out
    assert {"key0", "key4", "position", "state", "mean", "head", "tail", "time", "value-4-1"} <= set(
        text.split()
    )
    assert "everywhere: dataset=digits_lt, placement.depth=0" in text.splitlines()
    assert text.count("digits_lt") == 1


@pytest.mark.usefixtures("drawn")
def test_table_of_one_seed_has_wilson_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    print_table(write_report(grid(tmp_path / "sweep", (0,)), baseline=None))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "6-8" in line and " out " in line]
    tail = 100 * accuracy("6-8", "out", 0, "tail_acc")
    assert f"{tail:.1f} {tail - 10:.1f}-{tail + 5:.1f}" in line
    assert sum("n=120" in line for line in lines) == 1


# callback and console script


def config(folder: Path, baseline: str | None = None) -> Any:
    return OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}, "baseline": baseline})


@pytest.mark.usefixtures("drawn")
def test_callback_keeps_the_report(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SweepReport().on_multirun_end(config(broken, "placement.depth=6-8,placement.position=q"))
    assert SweepReport.error is None
    assert SweepReport.last is not None
    assert SweepReport.last.exit_code == 1
    assert SweepReport.last.baseline.choices["placement.depth"] == "6-8"
    assert str(broken / "cells.csv") in capsys.readouterr().out


@pytest.mark.usefixtures("drawn")
def test_callback_keeps_what_went_wrong(
    broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SweepReport().on_multirun_end(config(broken, "placement.depth=77"))
    assert SweepReport.last is None
    assert isinstance(SweepReport.error, UserError)
    assert str(SweepReport.error).startswith("baseline=placement.depth=77")

    def fall(*_: Any, **__: Any) -> None:
        raise RuntimeError("no disk")

    monkeypatch.setattr(callback, "write_report", fall)
    SweepReport().on_multirun_end(config(broken))
    assert isinstance(SweepReport.error, RuntimeError)
    monkeypatch.undo()
    SweepReport().on_multirun_end(config(grid(tmp_path / "good", (0,))))
    assert SweepReport.error is None
    assert SweepReport.last is not None
    assert SweepReport.last.exit_code == 0


def test_hydra_calls_the_callback() -> None:
    """As `hydra.callbacks` builds it, and with the other events of a multirun doing nothing."""
    from hydra._internal.callbacks import Callbacks

    from peftlab.config.hydra_version import trusted_targets

    node = {"report": {"_target_": "peftlab.report.callback.SweepReport"}}
    hydra_config = {"callbacks": node, "sweep": {"dir": "no such folder"}}
    with trusted_targets():
        callbacks = Callbacks(OmegaConf.create({"hydra": hydra_config}))
    (built,) = callbacks.callbacks
    assert type(built).__name__ == "SweepReport"
    callbacks.on_job_end(config=config(Path("x")), job_return=JobReturn())
    callbacks.on_multirun_end(config=config(Path("no such folder")))
    assert isinstance(type(built).error, UserError)


def test_main(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(broken)]) == 1
    assert str(broken / "sweep.csv") in capsys.readouterr().out
    assert (
        main([str(grid(tmp_path / "good", (0,))), "--baseline", "placement.depth=0-2,placement.position=q"])
        == 0
    )


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("arguments", [["nowhere"], ["{}", "--baseline", "a=1"]])
def test_main_answers_a_wrong_input_in_one_sentence(
    broken: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main([argument.format(broken) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Traceback" not in err


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, peftlab.report.callback; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "peftlab.report.callback" in run.stdout.split()
    assert not {"torch", "scipy", "matplotlib", "rich", "numpy"} & set(run.stdout.split())
