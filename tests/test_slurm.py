"""A sweep on a Slurm of one node that takes its jobs away in every way that it has, and ends as one that nobody disturbed."""

import json
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fixtures.slurm import lacking, slurm, told_by, wait_for
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


def running(env: Env) -> list[str]:
    """The jobs that run now, by their names as array tasks."""
    return told_by(env, "squeue", "-h", "-t", "R", "-o", "%i").split()


def requeue(env: Env, place: Path) -> None:
    """The way of an administrator, or of a node that fails."""
    for job in running(env):
        told_by(env, "scontrol", "requeue", job)


def higher_partition(env: Env, place: Path) -> None:
    """A job that takes the whole node for a moment."""
    told_by(env, "sbatch", "-p", "high", "-c", "2", "-o", str(place / "high.txt"), "--wrap", "sleep 1")


def time_limit(env: Env, place: Path) -> None:
    """The signal that Slurm sends before the limit; the limit itself is a matter of minutes."""
    for job in running(env):
        told_by(env, "scancel", "--signal=USR2", job)


@needs_slurm
@pytest.mark.parametrize(
    ("takes_away", "words"),
    [
        (requeue, ("tracker=wandb", "tracker.mode=offline")),  # whose process Slurm ends first
        (higher_partition, ()),
        (time_limit, ()),
    ],
)
def test_a_sweep_that_slurm_takes_away_ends_as_if_undisturbed(
    takes_away: Callable[[Env, Path], None],
    words: tuple[str, ...],
    cluster: Env,
    undisturbed: dict[str, Any],
    tmp_path: Path,
) -> None:
    process = start(tmp_path, cluster, *JOBS, *SLURM, *words)
    try:
        wait_for(training(tmp_path), 300, "a job that has begun")
        takes_away(cluster, tmp_path)
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
        wait_for(training(tmp_path), 300, "a group that has begun")
        requeue(cluster, tmp_path)
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
        wait_for(training(tmp_path), 300, "a group that has begun")
        told_by(cluster, "scancel", running(cluster)[0])
        assert wait(process) == 1, said(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert len(facts(tmp_path)) == 1
    assert wait(start(tmp_path, cluster, *words)) == 0, said(tmp_path)
    assert facts(tmp_path) == undisturbed, said(tmp_path)
