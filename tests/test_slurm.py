"""A sweep on a Slurm of one node that takes its jobs away in every way that it has, and ends as one that nobody disturbed."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from fixtures.slurm import lacking, running, send, slurm, standing_still, told_by, wait_for
from fixtures.sweeps import Env, facts, said, start, wait

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
REASON = lacking() or (None if find_spec("submitit") else 'pip install "peftlab[slurm]" is missing')
needs_slurm = pytest.mark.skipif(REASON is not None, reason=REASON or "")
JOBS = (
    "-m",
    "backbone=tiny",
    "device=cpu",
    "fit.batch_size=64",
    "fit.epochs=25",
    "peft.rank=2,4",
    "optim.lr=0.1",
)
SLURM = ("hydra/launcher=slurm", "hydra.launcher.partition=main", "hydra.launcher.gpus_per_node=null")
SLURM = (*SLURM, "hydra.launcher.cpus_per_task=1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Env]:
    with slurm(tmp_path_factory.mktemp("slurm") / "node") as env:
        yield env


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the same sweep gives in one process."""
    place = tmp_path_factory.mktemp("undisturbed")
    process = start(place, dict(os.environ), *JOBS)
    assert wait(process) == 0, said(place)
    return facts(place)


def attempts(place: Path) -> list[int]:
    return [json.loads(path.read_text())["attempts"] for path in sorted(place.rglob("result.json"))]


def training(place: Path) -> Callable[[], bool]:
    """Whether a job has saved something to go on from, and has not ended."""
    return lambda: any(
        not (path.parents[1] / "result.json").exists() for path in place.rglob("last/state.pt")
    )


def trained(place: Path) -> int:
    """How many rows its runs have written."""
    return sum(path.read_text().count("\n") for path in place.rglob("metrics.jsonl"))


def command_of(pid: int) -> str:
    """Its words; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


Taken = list[str]  # numbers of jobs whose processes Slurm ends
Way = Callable[[Env, Path, list[str]], Taken]


def requeue(env: Env, place: Path, jobs: list[str]) -> Taken:
    """The way of an administrator, or of a node that fails."""
    for job in jobs:
        told_by(env, "scontrol", "requeue", job)
    return jobs


def higher_partition(env: Env, place: Path, jobs: list[str]) -> Taken:
    """A job that takes the whole node for a moment."""
    told_by(env, "sbatch", "-p", "high", "-c", "2", "-o", str(place / "high.txt"), "--wrap", "sleep 1")
    return jobs


def time_limit(env: Env, place: Path, jobs: list[str]) -> Taken:
    """The signal that Slurm sends before the limit; the limit itself is a matter of minutes. Who gets it ends by itself."""
    for job in jobs:
        told_by(env, "scancel", "--signal=USR2", job)
    return []


def cancel(env: Env, place: Path, jobs: list[str]) -> Taken:
    """One of them, for good."""
    told_by(env, "scancel", jobs[0])
    return jobs[:1]


def taken_away(how: Way, env: Env, place: Path, *, tracked: bool = False) -> None:
    """Take jobs away in the middle of training, however short it is: they stand still until Slurm has decided, and are then killed at
    once, as Slurm does after KillWait (a run may have answered SIGTERM by then, and have ended). Of tracked runs the trackers'
    processes end first."""
    wait_for(training(place), 300, "a job that has begun")
    with standing_still(env) as found:
        assert found
        assert all(found.values()), f"of some job no process is known: {found}"
        assert training(place)(), "it ended before it could be taken away"
        if tracked:
            kill_trackers(place, list(chain.from_iterable(found.values())))
            assert training(place)(), "it ended before it could be taken away"
        gone = how(env, place, list(found))
        wait_for(lambda: not set(gone) & set(running(env)), 60, "jobs that Slurm ends")
        send(signal.SIGKILL, [pid for job in gone for pid in found[job]])


def kill_trackers(place: Path, still: list[int]) -> None:
    """Of processes that stand still the trackers' end, and the runs train on without them for a moment."""
    trackers = [pid for pid in still if "wandb-core" in command_of(pid)]
    assert trackers
    send(signal.SIGKILL, trackers)
    before = trained(place)
    send(signal.SIGCONT, still)
    wait_for(lambda: trained(place) > before, 60, "a run that trains without its tracker")
    send(signal.SIGSTOP, still)


@needs_slurm
@pytest.mark.parametrize(
    ("way", "words"),
    [
        (requeue, ("tracker=wandb", "tracker.mode=offline")),  # whose process Slurm ends first
        (higher_partition, ()),
        (time_limit, ()),
    ],
)
def test_a_sweep_that_slurm_takes_away_ends_as_if_undisturbed(
    way: Way,
    words: tuple[str, ...],
    cluster: Env,
    undisturbed: dict[str, Any],
    tmp_path: Path,
) -> None:
    process = start(tmp_path, cluster, *JOBS, *SLURM, *words)
    try:
        taken_away(way, cluster, tmp_path, tracked=bool(words))
        assert wait(process) == 0, said(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert facts(tmp_path) == undisturbed, said(tmp_path)
    assert max(attempts(tmp_path)) > 1, "nothing was taken away"


@needs_slurm
def test_a_group_is_one_job_which_slurm_takes_away_and_brings_back(
    cluster: Env, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Both runs go on from their saves, in the one job that they were."""
    process = start(tmp_path, cluster, *JOBS, *SLURM, "hydra.launcher.fused=true")
    try:
        taken_away(requeue, cluster, tmp_path)
        assert wait(process) == 0, said(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert facts(tmp_path) == undisturbed, said(tmp_path)
    assert attempts(tmp_path) == [2, 2]
    told = said(tmp_path, 1_000_000)
    assert "1 jobs are in the queue" in told
    assert told.count("fused: 2 jobs on one trunk") == 2, told


@needs_slurm
def test_a_group_that_is_cancelled_is_told_and_the_same_command_runs_it(
    cluster: Env, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    words = (*JOBS, *SLURM, "hydra.launcher.fused=true", "hydra.launcher.max_cells=1")
    process = start(tmp_path, cluster, *words)
    try:
        taken_away(cancel, cluster, tmp_path)
        assert wait(process) == 1, said(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert len(facts(tmp_path)) == 1
    assert wait(start(tmp_path, cluster, *words)) == 0, said(tmp_path)
    assert facts(tmp_path) == undisturbed, said(tmp_path)
