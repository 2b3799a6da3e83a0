"""The report of a sweep from made-up folders: its files, its baseline and its exit code."""

import csv
import errno
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fixtures.sweep import accuracy, grid, name_of, of, put
from scipy import stats
from statsmodels.formula.api import ols

from peftlab.errors import UserError
from peftlab.report.report import write_report
from peftlab.statistics.comparisons import dunnett

PICTURES = tuple(f"heatmap{name}.{end}" for name in ("", "-difference") for end in ("png", "svg"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fitted(folder: Path, metric: str) -> tuple[Any, int]:
    """Least squares of all finished runs by seed and cell, and the number of cells with a number."""
    done = [row for row in rows(folder / "sweep.csv") if row["state"] == "ok" and row[f"test/{metric}"]]
    frame = pd.DataFrame(
        {
            "y": [float(row[f"test/{metric}"]) for row in done],
            "seed": [row["seed"] for row in done],
            "cell": [row["placement.depth"] + row["placement.position"] for row in done],
        }
    )
    return ols("y ~ C(seed) + C(cell)", frame).fit(), frame["cell"].nunique()


def cell_row(folder: Path, depth: str, position: str) -> dict[str, str]:
    wanted = (depth, position)
    found = [
        r for r in rows(folder / "cells.csv") if (r["placement.depth"], r["placement.position"]) == wanted
    ]
    assert len(found) == 1
    return found[0]


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
def test_cells_csv_against_statsmodels(broken: Path) -> None:
    write_report(broken, baseline="placement.depth=9-11,placement.position=mlp2")
    assert len(rows(broken / "cells.csv")) == 24 + 1  # and the jobs of which nothing is known
    row = cell_row(broken, "6-8", "out")
    for metric in ("mean_acc", "head_acc", "tail_acc"):
        own, other = of("6-8", "out", metric), of("9-11", "mlp2", metric)
        assert float(row[metric]) == pytest.approx(own.mean())
        assert float(row[f"{metric}_diff"]) == pytest.approx((own - other).mean())
        fit, num = fitted(broken, metric)
        error = (2 * fit.mse_resid / 3) ** 0.5
        half = dunnett(num - 1, int(fit.df_resid)) * error
        assert float(row[f"{metric}_diff_half"]) == pytest.approx(half)
        p = 2 * stats.t.sf(abs((own - other).mean()) / error, fit.df_resid)
        assert float(row[f"{metric}_diff_p"]) == pytest.approx(p)
        assert p <= float(row[f"{metric}_diff_q"]) <= 1
        every = rows(broken / "cells.csv")
        halves = {float(r[f"{metric}_half"]) for r in every if r[f"{metric}_n"] == "3"}
        assert max(halves) - min(halves) < 1e-9, "one variance for all"
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
    assert (row["mean_acc_diff"], row["mean_acc_diff_p"], row["mean_acc_diff_n"]) == ("", "", "0")
    of_two = float(cell_row(broken, "0-2", "q")["mean_acc_half"])
    assert float(row["mean_acc_half"]) == pytest.approx(of_two * 2**0.5), (
        "one run, with the variance of all cells"
    )
    row = cell_row(broken, "0-2", "k")
    assert (row["mean_acc"], row["mean_acc_n"], row["num_failed"]) == ("", "0", "3")


@pytest.mark.usefixtures("drawn")
def test_one_seed_needs_no_cells_csv(tmp_path: Path) -> None:
    report = write_report(grid(tmp_path / "sweep", (0,)), baseline=None)
    assert [file.name for file in report.files] == ["sweep.csv", *PICTURES, "table.md"]
    assert not (tmp_path / "sweep" / "cells.csv").exists()


# baseline


@pytest.mark.usefixtures("drawn")
def test_the_default_baseline_is_the_first_cell_with_a_finished_run(broken: Path) -> None:
    report = write_report(broken, baseline=None)
    assert report.jobs[0].choices == {"placement.depth": "0-2", "placement.position": "k"}
    assert report.baseline.choices == {"placement.depth": "0-2", "placement.position": "mlp1"}
    first, taken = (f"placement.depth=0-2,placement.position={position}" for position in ("k", "mlp1"))
    assert report.notes == [f"baseline: {taken}; the first cell, {first}, has no finished run"]
    assert write_report(broken, baseline=first).notes == []


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
def test_a_wrong_baseline_names_the_cells_and_changes_nothing(
    broken: Path, drawn: dict[str, Any], baseline: str, word: str
) -> None:
    before = sorted(broken.rglob("*"))
    with pytest.raises(UserError, match=word) as error:
        write_report(broken, baseline=baseline)
    assert f"baseline={baseline}" in str(error.value)
    assert str(error.value).count("placement.depth=9-11") == 6
    assert sorted(broken.rglob("*")) == before
    assert drawn == {}


# the report as a whole


@pytest.mark.usefixtures("drawn")
def test_report_counts_and_exit_code(broken: Path) -> None:
    report = write_report(broken, baseline=None)
    assert (report.num_ok, report.num_failed, report.num_diverged) == (60, 3, 4)
    assert (report.num_interrupted, report.num_unfinished) == (1, 4)
    assert report.exit_code == 1
    assert [file.name for file in report.files] == ["sweep.csv", *PICTURES, "cells.csv", "table.md"]


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("ok", 0),
        ("diverged", 0),
        ("stopped", 0),
        ("failed", 1),
        ("interrupted", 1),
        ("running", 1),
        ("missing", 1),
    ],
)
def test_exit_code_of_one_job(tmp_path: Path, state: str, code: int) -> None:
    put(tmp_path / "a", "ok", {"a": "1"}, 0, result={"metrics": {}})
    put(tmp_path / "b", state, {"a": "2"}, 0, result={"metrics": {}})
    assert write_report(tmp_path, baseline=None).exit_code == code


@pytest.mark.slow
def test_rebuilding_changes_nothing(broken: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(p.relative_to(broken)): p.read_bytes() for p in broken.rglob("*") if p.is_file()}

    write_report(broken, baseline=None)
    first = content()
    write_report(broken, baseline=None)
    assert content() == first
    assert {"sweep.csv", "cells.csv", "heatmap.png"} <= first.keys()


@pytest.mark.parametrize("name", ["sweep.csv", "cells.csv", "table.md", "heatmap.png", "scatter.png"])
def test_what_no_report_wrote_is_not_written_over(broken: Path, name: str) -> None:
    (broken / name).write_text("years of work\n")
    before = {path: path.stat().st_mtime_ns for path in broken.rglob("*")}
    with pytest.raises(
        UserError, match=rf"{name} is not of a sweep's report, so it is not written over; legal: move it"
    ):
        write_report(broken, baseline=None)
    assert {path: path.stat().st_mtime_ns for path in broken.rglob("*")} == before


def test_a_folder_without_a_run_of_ours_is_no_sweep(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("model: vit\n")
    (tmp_path / "table.md").write_text("my table")
    with pytest.raises(UserError, match="holds no job; legal"):
        write_report(tmp_path, baseline=None)
    assert (tmp_path / "table.md").read_text() == "my table"


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_where_nothing_can_be_written_the_report_is_one_without_files(
    broken: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    monkeypatch.setattr(os, "replace", full)
    report = write_report(broken, baseline=None)
    assert (report.num_ok, report.files, report.exit_code) == (60, [], 1)
    assert report.unwritten.startswith(
        f"{broken / 'sweep.csv'} cannot be used ({os.strerror(number)}); legal"
    )


@pytest.mark.slow
def test_where_nothing_changes_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = grid(tmp_path / "sweep", (0, 1))
    first = write_report(folder, baseline=None)
    assert (first.exit_code, first.unwritten) == (0, "")
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("written"))
    assert write_report(folder, baseline=None).files == first.files
