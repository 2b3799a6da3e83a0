"""What every launcher says at the end of a sweep in which one job in the middle failed: the same."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from fixtures.ray import ray
from fixtures.slurm import lacking, slurm

TINY = ("-m", "backbone=tiny", "device=cpu", "fit.epochs=1", "fit.batch_size=64")
JOBS = ("peft.rank=2,9999,4", "seed=0")
RACE = ("hydra/sweeper=racing", "dataset.val_fraction=0.2", "hydra.sweeper.rungs=[0.5]", "fit.epochs=2")
SLURM = ("hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1")
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
cluster = pytest.mark.cluster
no_slurm = lacking() or (None if find_spec("submitit") else 'pip install "peftlab[slurm]" is missing')
no_ray = None if find_spec("ray") else 'pip install "peftlab[ray]" is missing'
pytestmark = pytest.mark.slow
LAUNCHERS = [
    pytest.param((), id="one after another"),
    pytest.param(("hydra/launcher=fused",), id="fused"),
    pytest.param(("hydra/launcher=local", "hydra.launcher.workers=1"), id="local"),
    pytest.param(RACE, id="race"),
    pytest.param(("torchrun",), id="torchrun"),
    pytest.param(
        SLURM, id="slurm", marks=[cluster, pytest.mark.skipif(bool(no_slurm), reason=f"{no_slurm}")]
    ),
    pytest.param(
        ("hydra/launcher=ray",),
        id="ray",
        marks=[cluster, pytest.mark.skipif(bool(no_ray), reason=f"{no_ray}")],
    ),
]


@pytest.fixture
def env(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """That of a command: with a Slurm or a Ray where it needs one."""
    with ExitStack() as stack:
        name, found = request.node.callspec.id, dict(os.environ)
        if name == "slurm":
            found = stack.enter_context(slurm(tmp_path_factory.mktemp("slurm") / "node"))
        if name == "ray":
            found = stack.enter_context(ray())
        scratch = tmp_path_factory.mktemp("scratch")
        root = str(Path(__file__).parents[1])
        path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        yield {**found, "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch), "PYTHONPATH": path}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_failure_in_the_middle_is_told_with_the_command_that_goes_on(
    launcher: tuple[str, ...], env: dict[str, str], tmp_path: Path
) -> None:
    ranks = launcher == ("torchrun",)
    words = (*TINY, *JOBS, *(() if ranks else launcher))
    if "RAY_ADDRESS" in env:
        words = (*words, f"hydra.launcher.ray.init.address={env['RAY_ADDRESS']}")
    command = [sys.executable, *(TWO if ranks else ()), "-m", "peftlab", *words, "resume=false"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 1, done.stderr[-3000:]
    states = [json.loads(path.read_text()) for path in (tmp_path / "outputs").rglob("status.json")]
    ended = {said["choices"]["peft.rank"]: said["state"] for said in states}
    assert ended["9999"] == "failed"
    assert set(ended.values()) - {"stopped"} == {"ok", "failed"}, "the others ran"
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("failed: "))
    assert "rank=9999" in line
    said = [line for line in done.stderr.splitlines() if line.startswith("what is left is run by: ")]
    head = "torchrun --nproc-per-node 2 -m peftlab" if ranks else "peftlab"
    assert [shlex.split(line.partition(": ")[2]) for line in said] == [[*head.split(), *words]]
