"""The report of a sweep in a tracker: from made-up folders, and once in wandb's own file."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fixtures.grid import CROSSED, made
from fixtures.sweep import accuracy, grid, of

from peftlab.config.summary import KEYS
from peftlab.option import Choice
from peftlab.report import live as file
from peftlab.report.live import Live, best_cells, opening, summary, tables
from peftlab.report.report import write_report

NODE = {"_target_": "peftlab.tracker.wandb.WandbTracker", "project": "lab"}


class Mirror:
    """A tracker that remembers its calls, of all its instances."""

    calls: ClassVar[list[tuple[str, Any]]] = []

    def start(self, opening: Any) -> None:
        self.calls.append(("start", opening))

    def log(self, scalars: dict[str, float], *, step: int) -> None:
        self.calls.append(("log", (step, scalars)))

    def table(self, name: str, columns: list[str], rows: list[Any], *, step: int) -> None:
        self.calls.append((name, [columns, *rows]))

    def image(self, name: str, picture: Any, *, step: int) -> None:
        with picture as path:
            self.calls.append((name, path))

    def page(self, name: str, path: Path, *, step: int) -> None:
        self.calls.append((name, (step, path.read_text())))

    def finish(self, summary: dict[str, Any], *, exit_code: int) -> None:
        self.calls.append(("finish", (summary, exit_code)))


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    monkeypatch.setattr(Mirror, "calls", [])
    monkeypatch.setattr(Choice, "__call__", lambda choice: Mirror())
    return Mirror.calls


def named(calls: list[tuple[str, Any]], name: str) -> list[Any]:
    return [value for key, value in calls if key == name]


@pytest.mark.usefixtures("drawn")
def test_one_run_of_the_group_from_the_first_job_to_the_end(
    broken: Path, mirror: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(file.time, "monotonic", lambda: clock[0])
    live = Live(broken, None)
    live.update(NODE)
    clock[0] += file.EVERY_S - 1
    live.update(NODE)
    assert len(named(mirror, "log")) == 1, "not more often than that"
    clock[0] += 2
    live.update(NODE)
    live.finish(write_report(broken, baseline=None))
    (given,) = named(mirror, "start")
    assert (given.group, given.kind, given.folder) == (broken.name, "report", broken)
    assert given.config.items() >= dict.fromkeys(KEYS).items()
    assert len(named(mirror, "log")) == len(named(mirror, "sweep/cells")) == 3
    assert named(mirror, "sweep/heatmap") == [broken / "heatmap.png"] * 3
    assert named(mirror, "sweep/page") == [], "there is none"
    ((numbers, code),) = named(mirror, "finish")
    assert (numbers["num_ok"], numbers["num_failed"], code) == (60, 3, 0)


def test_the_page_and_its_tables_go_with_the_last_state_alone(
    tmp_path: Path, mirror: list[tuple[str, Any]]
) -> None:
    folder = made(tmp_path / "sweep", CROSSED, 2)
    live = Live(folder, None)
    live.update(NODE)
    assert named(mirror, "sweep/page") == []
    assert not (folder / "report").exists()
    live.finish(write_report(folder, baseline=None))
    ((step, page),) = named(mirror, "sweep/page")
    assert step == 24
    assert page == (folder / "report" / "index.html").read_text()
    assert page.startswith("<!doctype html>")
    ((heads, *rows),) = named(mirror, "report/cells")
    assert heads[:6] == ["depth", "position", "mean (%)", "mean (%) low", "mean (%) high", "n"]
    assert len(rows) == 12
    assert {name for name, _ in mirror if name.startswith("report/")} >= {
        "report/differences",
        "report/best-mean",
    }
    assert mirror[-1][0] == "finish"
    assert named(mirror, "finish")[0][1] == 0


def test_a_page_that_cannot_be_written_is_told_and_the_numbers_stand(
    tmp_path: Path, mirror: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "sweep", CROSSED, 1)
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("mine")
    live = Live(folder, None)
    live.update(NODE)
    live.finish(write_report(folder, baseline=None))
    assert "is not a report's, so it is not written over" in capsys.readouterr().err
    assert named(mirror, "sweep/page") == []
    ((numbers, code),) = named(mirror, "finish")
    assert (numbers["num_ok"], code) == (12, 0)


@pytest.mark.usefixtures("drawn")
def test_a_sweep_without_a_tracker_has_none(broken: Path, mirror: list[tuple[str, Any]]) -> None:
    live = Live(broken, None)
    live.update({"_target_": "peftlab.tracker.none.NoTracker"})
    live.finish(None)
    assert mirror == []
    assert not (broken / "sweep.csv").exists(), "no report is written between jobs that nobody reads"


def test_a_report_that_cannot_be_written_ends_nothing(tmp_path: Path, mirror: list[tuple[str, Any]]) -> None:
    live = Live(tmp_path, None)
    live.update(NODE)
    live.finish(None)
    assert [name for name, _ in mirror] == ["start", "finish"]
    assert named(mirror, "finish") == [({}, 1)]


def test_the_same_sweep_is_the_same_run_and_another_is_not(tmp_path: Path) -> None:
    ids = {opening(tmp_path / name, None).run_id for name in ("grid-1a2b", "./grid-1a2b", "grid-3c4d")}
    assert len(ids) == 2


@pytest.mark.usefixtures("drawn")
def test_tables_hold_the_best_cell_first_with_its_interval(broken: Path) -> None:
    report = write_report(broken, baseline=None)
    found = tables(report)
    head, *rows = found["cells"]
    assert head[:4] == ["placement.depth", "placement.position", "num_ok", "mean_acc"]
    means = [row[3] for row in rows if row[3] is not None]
    assert means == sorted(means, reverse=True)
    first = of(rows[0][0], rows[0][1], "mean_acc")
    assert rows[0][3] == pytest.approx(first.mean())
    assert rows[0][4] < rows[0][3] < rows[0][5]
    best = {row[0]: row for row in found["best"][1:]}
    assert best.keys() == {"mean_acc", "head_acc", "tail_acc"}, "no cell has medium classes"
    assert best["mean_acc"][1] == f"placement.depth={rows[0][0]},placement.position={rows[0][1]}"
    assert summary(report)["best/tail_acc"] == best["tail_acc"][3]
    head, *jobs = found["jobs"]
    column = head.index("test/tail_acc")
    assert {type(row[column]) for row in jobs} == {float, type(None)}
    assert {type(row[head.index("placement.depth")]) for row in jobs} <= {str}
    json.dumps(found, allow_nan=False)


@pytest.mark.usefixtures("drawn")
def test_the_best_cell_is_that_of_the_made_up_numbers(tmp_path: Path) -> None:
    report = write_report(grid(tmp_path / "sweep", (0,)), baseline=None)
    cell = best_cells(report)["tail_acc"]
    depth, position = cell.choices["placement.depth"], cell.choices["placement.position"]
    every = [
        accuracy(other.choices["placement.depth"], other.choices["placement.position"], 0, "tail_acc")
        for other in report.cells
    ]
    assert accuracy(depth, position, 0, "tail_acc") == max(every)
