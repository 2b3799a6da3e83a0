"""The printed table: every number, every column, and why a job has none."""

import csv
from pathlib import Path

import pytest
from fixtures.sweep import DEPTHS, POSITIONS, accuracy, grid, name_of, of, put, result

from peftlab.report.report import write_report
from peftlab.report.table import print_table


@pytest.mark.usefixtures("drawn")
def test_table(broken: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    print_table(write_report(broken, baseline=None))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "6-8" in line and " out " in line]
    with (broken / "cells.csv").open(newline="") as file:
        (row,) = [
            r
            for r in csv.DictReader(file)
            if (r["placement.depth"], r["placement.position"]) == ("6-8", "out")
        ]
    for metric in ("mean_acc", "head_acc", "tail_acc"):
        own = 100 * of("6-8", "out", metric)
        assert f"{own.mean():.1f} ±{100 * float(row[f'{metric}_half']):.1f}" in line
    assert line.split()[-2:] == ["3", "0:01:01"]
    cells = [line.split() for line in lines if line.strip().startswith(DEPTHS)]
    assert len(cells) == 24
    assert [cell[:3] for cell in cells[-2:]] == [["0-2", "k", "failed"], ["3-5", "k", "missing"]]
    assert any("2 ok, 1 diverged" in line for line in lines)
    assert f"failed: {name_of('0-2', 'k', 0)}: CUDA out of memory [q,v]" in lines
    pictures = [f"heatmap{what}.{kind}" for what in ("", "-difference") for kind in ("png", "svg")]
    files = ("sweep.csv", *pictures, "cells.csv", "table.md")
    assert lines[-7:] == [str(broken / name) for name in files]


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
def test_table_of_one_seed_has_score_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    print_table(write_report(grid(tmp_path / "sweep", (0,)), baseline=None))
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "6-8" in line and " out " in line]
    tail = 100 * accuracy("6-8", "out", 0, "tail_acc")
    assert f"{tail:.1f} {tail - 10:.1f}-{tail + 5:.1f}" in line
    assert sum("n=120" in line for line in lines) == 1


@pytest.mark.usefixtures("drawn")
def test_two_choices_of_one_last_name_keep_their_whole_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, (rank, other) in enumerate((("4", "1"), ("8", "2"))):
        choices = {"a.rank": rank, "b.rank": other, "c.depth": rank}
        put(tmp_path / str(i), "ok", choices, 0, result=result("0-2", "q", 0))
    print_table(write_report(tmp_path, baseline=None))
    head = capsys.readouterr().out.splitlines()[2].split()
    assert head[:4] == ["a.rank", "b.rank", "depth", "state"]


def test_brackets_are_no_markup_and_the_number_of_items_is_a_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    for position, num in (("[q,v]", 120), ("[red]", 98)):
        metrics = {
            "test/mean_acc": 0.5,
            "test/mean_acc_low": 0.4,
            "test/mean_acc_high": 0.6,
            "test/mean_num": num,
        }
        put(
            tmp_path / position,
            "ok",
            {"position": position},
            0,
            result={"metrics": metrics, "wall_s": 3725.4},
        )
    put(tmp_path / "[bold]", "failed", {"position": "[bold]"}, 0, error="no [/red] here")
    put(tmp_path / "lost", "interrupted", {"position": "k"}, 0)
    print_table(write_report(tmp_path, baseline=None))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:3]] == [["mean", "%"], ["position", "state", "n=98-120", "time"]]
    rows = [line.split() for line in lines[4:8]]
    measured = ["ok", "50.0", "40.0-60.0", "1:02:05"]
    assert sorted(rows[:2]) == [["[q,v]", *measured], ["[red]", *measured]]
    assert sorted(rows[2:]) == [["[bold]", "failed"], ["k", "interrupted"]]  # below those with a number
    assert "failed: [bold]: no [/red] here" in lines
    assert "interrupted: lost: no error recorded" in lines
    assert "a-b is a 95 % score interval over n test items" in lines


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("choices", "said"),
    [([{"a": "1"}], "the only cell"), ([{"a": "1"}, {"a": "2"}], "a=1")],
)
def test_the_table_says_what_it_is_compared_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choices: list[dict[str, str]], said: str
) -> None:
    for i, choice in enumerate(choices):
        for seed in (0, 1):
            put(tmp_path / f"{i}{seed}", "ok", choice, seed, result={"metrics": {"test/mean_acc": 0.5}})
    print_table(write_report(tmp_path, baseline=None))
    line = f"± is a 95 % interval over n seeds, with the variance of all cells; differences in cells.csv: to {said}"
    assert line in capsys.readouterr().out.splitlines()


def test_a_diverged_job_is_no_failure_and_a_path_stays_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    folder = tmp_path / ("sweep-" * 12)
    put(folder / "one", "ok", {"a": "1"}, 0, result={"metrics": {"test/mean_acc": 0.5}})
    put(folder / "two", "diverged", {"a": "2"}, 0, result={"metrics": {}})
    print_table(write_report(folder, baseline=None))
    lines = capsys.readouterr().out.splitlines()
    assert ["2", "diverged"] in [line.split() for line in lines]
    assert not [line for line in lines if line.startswith("diverged:")]
    assert lines[-2:] == [str(folder / "sweep.csv"), str(folder / "table.md")]
