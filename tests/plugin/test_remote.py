"""What a scheduler is given, and what is known at the end. tests/test_slurm.py and tests/test_ray.py have real ones."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

import peftlab.config.hydra_version  # noqa: F401, where Hydra learns of our plugins
from peftlab.engine.job import Job
from peftlab.plugin import remote
from peftlab.plugin.remote import Call, Fusion, collected, groups
from peftlab.record.record import Record
from peftlab.report.callback import SweepReport

Config = Callable[..., dict[str, Any]]


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The failures that no folder tells."""
    found: list[str] = []
    monkeypatch.setattr(SweepReport, "untold", found)
    return found


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, composed: Config, tmp_path: Path) -> Call:
    """Jobs are composed from their words, each with a folder that is called as its seed."""

    def jobs(context: Any, config: Any, words: list[list[str]]) -> list[Job]:
        made = [composed(*(word for word in own if not word.startswith("+"))) for own in words]
        return [Job(one, Record(tmp_path / str(one["seed"]), {}, one), "sweep") for one in made]

    monkeypatch.setattr(remote, "_jobs", jobs)
    return Call(None, None)


def test_jobs_are_alone_unless_they_are_to_be_fused(call: Call) -> None:
    jobs = [[f"seed={seed}", f"fit.epochs={epochs}"] for seed in (0, 1, 2) for epochs in (1, 2)]
    jobs[0].append("+hydra.job.place=7")
    single = groups(None, None, jobs, 3, Fusion(False, 48))
    assert single[0] == [[*jobs[0]]], "it has a place"
    assert single[5] == [[*jobs[5], "+hydra.job.place=8"]]
    pairs = groups(None, None, jobs, 3, Fusion(True, 2))
    assert sorted(map(len, pairs)) == [1, 1, 2, 2]
    for group in pairs:
        assert len({next(word for word in own if word.startswith("fit.epochs")) for own in group}) == 1
    assert len(groups(None, None, jobs, 0, Fusion(True, None))) == 2
    assert len(groups(None, None, jobs, 0, Fusion(True, None, workers=3))) > 2


def test_a_group_that_is_lost_ends_no_other_and_what_it_had_ended_is_not_lost(
    call: Call, untold: list[str], tmp_path: Path
) -> None:
    ended = JobReturn(overrides=["seed=2"], status=JobStatus.COMPLETED)
    ended.return_value = "it could not be written"

    def lost() -> list[JobReturn]:
        raise RuntimeError("node\nfailed")

    record = Record(tmp_path / "0", {}, {})
    record.status("ok")
    record.release()
    given = [[["seed=0"], ["seed=1", "+hydra.job.place=1"]], [["seed=2"]]]
    found = collected([lost, lambda: [ended]], call, given)
    assert [one.overrides for one in found] == [["seed=0"], ["seed=1", "+hydra.job.place=1"], ["seed=2"]]
    assert {one.return_value for one in found} == {None}
    assert untold == ["seed=1: RuntimeError: node failed", "seed=2: it could not be written"]


def test_a_call_runs_the_jobs_that_it_is_given_and_says_what_no_folder_tells(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(context: Any, config: Any, jobs: Any, first: int, run: Any) -> list[JobReturn]:
        assert [place for place, _ in run(iter(jobs))] == [0, 1]
        return [JobReturn(overrides=own) for own in jobs]

    monkeypatch.setattr(remote, "launch_jobs", launch)
    monkeypatch.setattr("peftlab.engine.fused.run_jobs", lambda jobs: [None, "no room"])
    assert [one._return_value for one in call([["seed=0"], ["seed=1"]])] == [None, "no room"]


def test_slurm_is_given_the_same_call_again(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    again = SimpleNamespace(helpers=SimpleNamespace(DelayedSubmission=lambda *given: given))
    monkeypatch.setitem(__import__("sys").modules, "submitit", again)
    assert call.checkpoint([["seed=0"]]) == (call, [["seed=0"]])


@pytest.mark.parametrize(
    ("needs", "number"),
    [({"num_cpus": 1}, 8), ({"num_cpus": 4, "num_gpus": 0.25}, 2), ({"num_cpus": 16}, 1), ({}, 1)],
)
def test_a_ray_runs_as_many_tasks_as_it_has_room_for(needs: dict[str, float], number: int) -> None:
    from hydra_plugins.peftlab.ray import at_once

    assert at_once({"CPU": 8.0, "GPU": 1.0}, needs) == number
