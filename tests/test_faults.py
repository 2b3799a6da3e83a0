"""A few rounds of scripts/faults.py on each engine; docs/reliability.md has the figures of many. And what its table says."""

import json
import random
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from fixtures.scripts import SCRIPTS, script_of
from fixtures.slurm import lacking

no_slurm = lacking() or (None if find_spec("submitit") else 'pip install "peftlab[slurm]" is missing')
no_ray = None if find_spec("ray") else 'pip install "peftlab[ray]" is missing'
slow, cluster = pytest.mark.slow, pytest.mark.cluster
ROUNDS = [
    pytest.param("separate", "lora", 5, marks=slow),
    pytest.param("fused", "grid", 2, marks=slow),
    pytest.param("race", "race", 1, marks=slow),
    pytest.param("local", "grid", 2, marks=slow),
    pytest.param("torchrun", "pair", 2, marks=slow),
    pytest.param(
        "slurm", "pair", 2, marks=[slow, cluster, pytest.mark.skipif(bool(no_slurm), reason=f"{no_slurm}")]
    ),
    pytest.param(
        "ray", "pair", 2, marks=[slow, cluster, pytest.mark.skipif(bool(no_ray), reason=f"{no_ray}")]
    ),
]


@pytest.mark.parametrize(("engine", "command", "number"), ROUNDS)
def test_a_sweep_survives_kills(engine: str, command: str, number: int, tmp_path: Path) -> None:
    words = ("--engines", engine, "--commands", command, "--rounds", str(number), "--seed", "1")
    out = tmp_path / "faults.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "faults.py"), *words, "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    found = json.loads(out.read_text())
    assert [one["wrong"] for one in found] == [[]] * number
    assert len({one["fault"] for one in found}) == number, "each round another fault"


def test_every_command_meets_every_fault() -> None:
    faults = script_of("faults")
    for engine in faults.ENGINES.values():
        num = len(engine.commands)
        met = {
            (index % num, engine.faults[(index // num + index % num) % len(engine.faults)])
            for index in range(60)
        }
        assert len(met) == num * len(engine.faults)


def test_what_differs_is_named() -> None:
    faults = script_of("faults")
    one = {"a": {"state": "ok", "metrics": {"m": 1.0}, "rows": [], "weights": {"w": "00"}}}
    other = {"a": {**one["a"], "weights": {"w": "01"}}}
    assert faults.different(one, one) == []
    assert faults.different(other, one) == ["another weights of a"]
    assert [f"another {key} of a" for key in one["a"]] == faults.different({}, one)


def test_what_is_left_is_found_and_ended(tmp_path: Path) -> None:
    """A process of another session that has another parent is known by its environment."""
    faults = script_of("faults")
    harm = faults.Harm("separate", "lora", {})
    assert harm.left(tmp_path) == []
    code = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], env={"PEFTLAB_FAULTS": str(tmp_path)}, check=True)
    until = time.monotonic() + 20
    while not harm.left(tmp_path):
        assert time.monotonic() < until
    faults.end_all(f"PEFTLAB_FAULTS={tmp_path}\0")
    assert faults.gone(harm, tmp_path, 20) == []
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "lost").touch()
    (tmp_path / "outputs" / "run").mkdir(parents=True)
    (tmp_path / "outputs" / "run" / ".state.pt.123").touch()
    assert faults.left_over(tmp_path) == ["tmp/lost"]
    assert faults.half_written(tmp_path) == [".state.pt.123"]


def test_a_moment_is_a_file_that_appears_or_changes(tmp_path: Path) -> None:
    faults = script_of("faults")
    undisturbed, place = tmp_path / "one", tmp_path / "two"
    for folder in (undisturbed, place):
        (folder / "run").mkdir(parents=True)
    (undisturbed / "run" / "result.json").touch()
    draw = random.Random()
    draw.random = lambda: 1.0  # type: ignore[method-assign]
    draw.choice = lambda names: "result.json"  # type: ignore[method-assign, assignment]
    is_now = faults.moment(place, 1.0, draw, undisturbed)
    assert not is_now()
    (place / "run" / "result.json").touch()
    assert is_now()


def test_the_table_counts_what_ended_in_the_same_result() -> None:
    faults = script_of("faults")
    rows = [
        {"engine": "local", "fault": "kill", "happened": {"to worker": 2}, "wrong": []},
        {
            "engine": "local",
            "fault": "kill",
            "happened": {"to worker": 1, "too late": 1},
            "wrong": ["exit code 1"],
        },
    ]
    assert faults.table(rows).splitlines()[2:] == ["| local | kill | 2 | 3 to worker, 1 too late | 1 |"]
