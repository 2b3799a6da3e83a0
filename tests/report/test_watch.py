"""A sweep that runs, from its files alone."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from fixtures.sweep import put

from peftlab.command.sweep import main
from peftlab.record.lock import Lock
from peftlab.report.watch import Ages, lines, watched

PLAN = """\
hydra:
  overrides: {task: ['seed=0,1,2', 'peft=lora,bitfit'], hydra: []}
  sweeper: {params: null}
"""
BEAT = {
    "time": 0.0,
    "step": 5,
    "steps": 20,
    "epoch": 1.25,
    "epochs": 5,
    "loss": 0.5,
    "val": 0.75,
    "eta_s": 60.0,
}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Six jobs: one finished in 100 s, one at work elsewhere, four not begun."""
    (tmp_path / "multirun.yaml").write_text(PLAN)
    at_work(tmp_path / "b")
    put(tmp_path / "a", "ok", {}, 0, result={"metrics": {}}, wall_s=100.0)
    return tmp_path


def at_work(folder: Path, **more: Any) -> Path:
    return put(folder, "running", {}, 1, **{"host": "elsewhere", "pid": 7, "beat": BEAT, **more})


def test_what_runs_and_what_is_left(sweep: Path) -> None:
    found = watched(sweep)
    assert [run.state for run in found.runs] == ["ok", "running"]
    assert (found.planned, found.left, found.is_over) == (6, 4, False)
    assert found.eta_s == pytest.approx(60 + 4 * 100)  # one at a time, as now
    at_work(sweep / "c", beat={**BEAT, "eta_s": 40.0})
    assert watched(sweep).eta_s == pytest.approx((60 + 40 + 3 * 100) / 2)
    table = list(lines(found))
    assert table[0].split() == ["run", "state", "epoch", "loss", "val", "left", "last", "word", "who"]
    assert table[1].split()[:6] == ["b", "running", "1.2/5", "0.5", "0.75", "0:01:00"]
    assert table[-1] == "6 runs: 1 ok, 1 running, 4 not begun; about 0:07:40 left"


def test_a_run_without_a_word_for_long_is_silent_and_says_who_it_was(sweep: Path) -> None:
    old = (sweep / "b" / "status.json").stat().st_mtime - 400
    os.utime(sweep / "b" / "status.json", (old, old))
    assert watched(sweep, silent_s=500.0).count["running"] == 1
    found = watched(sweep, silent_s=300.0)
    assert found.count["silent"] == 1
    assert not found.is_over
    assert any("no word for 0:06:40; it was elsewhere, process 7" in line for line in lines(found))


def test_a_clock_that_was_set_back_makes_no_age_negative_and_no_dead_run_alive(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """status.json then seems to come from the future; a run that lives writes it again."""
    ages, clock, status = Ages(), [1000.0], sweep / "b" / "status.json"
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.time", lambda: status.stat().st_mtime - 3600)
    for passed, state in ((0, "running"), (299, "running"), (2, "silent")):
        clock[0] += passed
        (run,) = (run for run in watched(sweep, 300.0, ages).runs if run.name == "b")
        assert run.state == state
        assert run.age_s == clock[0] - 1000
    later = status.stat().st_mtime_ns + 5
    os.utime(status, ns=(later, later))
    assert watched(sweep, 300.0, ages).count["running"] == 1


def test_a_run_of_this_machine_that_nobody_writes_was_killed(sweep: Path) -> None:
    folder = at_work(sweep / "c", host=socket.gethostname())
    lock = Lock(folder)
    assert lock.take()
    assert watched(sweep).count["running"] == 2
    lock.release()
    assert watched(sweep).count["killed"] == 1


@pytest.mark.parametrize("content", ["", "{", '{"state": "running", "beat": [1]}', '{"state": 3}', "[]"])
def test_what_cannot_be_read_does_not_end_it(sweep: Path, content: str) -> None:
    (sweep / "b" / "status.json").write_text(content)
    (sweep / "multirun.yaml").write_text("hydra: [")
    assert len(list(lines(watched(sweep)))) >= 1


def test_the_command_prints_once_in_an_interval_and_ends(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    assert main([str(sweep), "--watch", "3"]) == 130
    assert waits == [3.0, 3.0]
    text = capsys.readouterr().out
    assert text.count("1 ok, 1 running") == 2
    assert "\x1b" not in text
    (sweep / "multirun.yaml").unlink()
    (sweep / "b" / "status.json").write_text('{"state": "failed"}')
    assert main([str(sweep), "--watch"]) == 0


def test_wrong_words_are_a_sentence(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--watch", "0"], ["--watch", "nan"], ["--watch", "1", "--silent", "-1"]):
        with pytest.raises(SystemExit) as stopped:
            main([str(sweep), *words])
        assert stopped.value.code == 2
        assert "legal: seconds, above 0" in capsys.readouterr().err
