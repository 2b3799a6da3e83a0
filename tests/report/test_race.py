"""What a race keeps in race.json, what it asks for at each rung, and what its page says."""

import json
from pathlib import Path

import pytest

from peftlab.errors import UserError
from peftlab.report.race.entries import part
from peftlab.report.race.policy import policy_of
from peftlab.report.race.race import Entry, Race
from peftlab.report.race.text import write_race

POLICY = policy_of([0.25, 0.5], 0.5, False, "mean_acc")


def entries(folder: Path, epochs: int = 8) -> list[Entry]:
    names = [("q", 0), ("q", 1), ("v", 0), ("v", 1)]
    return [Entry({"position": name}, seed, epochs, 1, folder / f"{name}-{seed}") for name, seed in names]


def put(entry: Entry, epoch: int, accuracy: float, state: str = "stopped", **result: object) -> None:
    """A run that has trained up to `epoch`."""
    entry.folder.mkdir(parents=True, exist_ok=True)
    rows = [{"epoch": number, "val/mean_acc": accuracy} for number in range(1, epoch + 1)]
    (entry.folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (entry.folder / "status.json").write_text(json.dumps({"state": state, "epoch": epoch}))
    if result:
        (entry.folder / "result.json").write_text(json.dumps(result))


def test_a_decision_is_taken_once_and_kept(tmp_path: Path) -> None:
    jobs = entries(tmp_path)
    race = Race(tmp_path, POLICY, jobs)
    assert (race.round(0), race.epoch(0, 0), race.epoch(0, 2)) == ([0, 1, 2, 3], 2, None)
    for entry, accuracy in zip(jobs, (0.1, 0.1, 0.2, 0.2), strict=True):
        put(entry, 2, accuracy)
    race.decide(0)
    assert race.stopped == {"position=q": "not among the first 1"}
    again = Race(tmp_path, POLICY, jobs)
    put(jobs[0], 2, 0.9)  # what is decided stays so
    assert (again.round(0), again.stopped) == ([], race.stopped)
    assert (again.round(1), again.round(2)) == ([], [2, 3]), "one cell alone has nobody to race against"
    assert Race(tmp_path, POLICY, jobs, resume=False).stopped == {}
    other = policy_of([0.25], 0.5, False, "mean_acc")
    assert Race(tmp_path, other, jobs).stopped == {}, "another race"


def test_a_job_that_is_not_there_yet_is_not_judged(tmp_path: Path) -> None:
    jobs = entries(tmp_path)
    for entry, accuracy in zip(jobs, (0.1, 0.1, 0.2, 0.2), strict=True):
        put(entry, 2, accuracy, "failed" if entry.choices["position"] == "q" else "stopped")
    race = Race(tmp_path, POLICY, jobs)
    race.decide(0)
    assert (race.stopped, race.round(1)) == ({}, [0, 1, 2, 3])


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_nothing_is_decided_while_somebody_else_goes_on_with_a_job(tmp_path: Path, state: str) -> None:
    """Two of one command: all jobs were there when it was asked who was cut off, and one has gone on since."""
    jobs = entries(tmp_path)
    for entry, accuracy in zip(jobs, (0.1, 0.1, 0.2, 0.2), strict=True):
        put(entry, 2, accuracy)
    race = Race(tmp_path, POLICY, jobs)
    assert race.cut_off([0, 1, 2, 3], 0) == []
    put(jobs[2], 3, 0.2, state)
    assert race.decide(0) == [2]
    assert (race.rungs, (tmp_path / "race.json").exists()) == ([], False)
    put(jobs[2], 4, 0.2)
    assert race.decide(0) == []
    assert race.stopped == {"position=q": "not among the first 1"}


def test_runs_without_validation_are_told_so(tmp_path: Path) -> None:
    jobs = entries(tmp_path)
    for entry in jobs:
        put(entry, 2, 0.1)
        (entry.folder / "metrics.jsonl").write_text('{"epoch": 2, "train/loss": 1}\n')
    with pytest.raises(UserError, match="leaves a race no items to compare cells on; legal: above 0"):
        Race(tmp_path, POLICY, jobs).decide(0)
    assert not (tmp_path / "race.json").exists()


def test_the_page_says_cost_winner_and_what_was_not_looked_at(tmp_path: Path) -> None:
    jobs = entries(tmp_path)
    for entry, accuracy in zip(jobs, (0.1, 0.1, 0.2, 0.2), strict=True):
        put(entry, 2, accuracy)
    race = Race(tmp_path, POLICY, jobs)
    race.decide(0)
    assert "winner: none yet" in write_race(race)[0].read_text()
    for entry in jobs[2:]:
        put(entry, 8, 0.3, "ok", metrics={"test/mean_acc": 0.25}, headline=["mean_acc"])
    path, lines = write_race(race)
    assert (
        lines[0]
        == "race: 20 of 32 epochs of the grid (0.62 of its cost); 1 of 2 cells stopped before their end"
    )
    assert lines[1] == "winner on validation (mean_acc): position=v; test: mean 25.0 % (n = 2)"
    assert lines[-1].startswith("not looked at: the test split of 1 cells, and 12 epochs of their training")
    assert (
        "| position=q | 0.25 | 0.100 | -0.100 (-0.100 to -0.100) | not among the first 1 | 12 |"
        in path.read_text()
    )
    assert json.loads((tmp_path / "race.json").read_text())["outcome"]["winner"] == "position=v"


def test_the_words_of_a_part() -> None:
    assert part(["a=1", "resume=false"], 3, first=True) == ["a=1", "resume=false", "fit.stop_after=3"]
    assert part(["a=1", "resume=false"], None, first=False) == ["a=1", "resume=false", "resume=true"]
