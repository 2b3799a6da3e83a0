"""`torchrun --nproc-per-node 2 -m peftlab`: the numbers of one process, one record, one sentence."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import words_of, write_answers
from fixtures.slurm import wait_for

from peftlab.record.table import read_rows

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
SWEEP = ("-m", "peftlab", "-m", "backbone=tiny", "device=cpu", "fit.batch_size=64", "fit.select=best")
SWEEP = (*SWEEP, "fit.epochs=5", "scaling=fixed,meta")  # without an outer loop, and with one
RUN = ("backbone=tiny", "device=cpu", "fit.batch_size=64", "fit.epochs=30")
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# what a rank above 0 does on its own: it fails in the third step
FAILS = """
import os, sys
from peftlab.run.state import Run
log = Run.log
def fails(self, step, row):
    if os.environ["RANK"] == "1" and step == 3:
        raise MemoryError("as if out of memory")
    log(self, step, row)
Run.log = fails
from peftlab.command.train import main
main()
"""


def start(place: Path, *words: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    place.mkdir(exist_ok=True)
    scratch = place / "scratch"
    scratch.mkdir(exist_ok=True)
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch)}
    env["PEFTLAB_CACHE"] = str(place / "cache")
    with (place / "said.txt").open("ab") as out:
        return subprocess.Popen([sys.executable, *words], cwd=place, env=env, stdout=out, stderr=out)


def go(place: Path, *words: str) -> int:
    return start(place, *words).wait(400)


def rows(place: Path) -> dict[str, list[dict[str, float]]]:
    return {
        path.parent.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in sorted((place / "outputs").rglob("metrics.jsonl"))
    }


def metrics(place: Path) -> dict[str, Any]:
    return {
        path.parent.name: json.loads(path.read_text())["metrics"]
        for path in sorted((place / "outputs").rglob("result.json"))
    }


def files(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in (place / "outputs").rglob("*"))


def same(one: Path, two: Path) -> None:
    """Curves to 1e-5, what was counted exactly, and the files of one process."""
    assert files(one) == files(two), (two / "said.txt").read_text()
    assert metrics(one) == metrics(two)
    first, second = rows(one), rows(two)
    for name in first:
        assert len(first[name]) == len(second[name])
        for mine, theirs in zip(first[name], second[name], strict=True):
            assert {**mine, "attempt": 0} == pytest.approx({**theirs, "attempt": 0}, rel=0, abs=1e-5), name


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("one")
    assert go(place, *SWEEP) == 0, (place / "said.txt").read_text()
    return place


def test_two_processes_are_one_run(one: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    assert go(two, *TWO, *SWEEP) == 0, (two / "said.txt").read_text()
    same(one, two)
    assert (two / "said.txt").read_text().count("test result of") == 2, "rank 0 alone speaks"
    assert not list((two / "scratch").glob("peftlab-rank-*")), "what other ranks wrote is gone"
    assert go(two, *TWO, *SWEEP) == 0, "finished runs are skipped on all ranks"
    assert (two / "said.txt").read_text().count("finished before") == 2


def test_two_processes_hold_to_the_frozen_network_as_one(tmp_path: Path) -> None:
    words = ("-m", "peftlab", *RUN[:3], "fit.epochs=5", "fit.prograd=1", "peft=bitfit")
    places = [tmp_path / name for name in ("one", "two")]
    for place, start in zip(places, ((), TWO), strict=True):
        assert go(place, *start, *words) == 0, (place / "said.txt").read_text()
    same(*places)


@pytest.mark.parametrize("words", [
    (),
    ("peft=noah", "peft.parts.adapter.dropout=0", "placement=supernet", "task.decode=always"),
])  # fmt: skip
def test_two_processes_write_the_answers_of_one(words: tuple[str, ...], tmp_path: Path) -> None:
    """The last batch of an epoch has one question: none for rank 1. Without a cache, where there are prompts."""
    data = words_of(write_answers(tmp_path / "sums", num_train=25))
    more = (
        "fit.epochs=8",
        "optim.lr=0.02",
        "task.max_new_tokens=12",
        "dataset.val_fraction=0.04",
        "device=cpu",
    )
    places = [tmp_path / name for name in ("one", "two")]
    for place, start in zip(places, ((), TWO), strict=True):
        assert go(place, *start, "-m", "peftlab", *data, *more, *words) == 0, (place / "said.txt").read_text()
    (name, found), (other, wanted) = ((*metrics(place).items(),)[0] for place in places)
    assert name == other
    known, numbers = (
        {key: value for key, value in own.items() if value is not None} for own in (found, wanted)
    )
    assert known == pytest.approx(numbers, rel=0, abs=1e-3)  # -log p of an answer is about 150
    assert "test/log_likelihood" in known
    assert "test/value_mean_acc" in known
    said = [
        [row["said"] for row in read_rows(place / "outputs" / name / "predictions.csv")] for place in places
    ]
    assert said[0] == said[1]
    assert max(map(len, said[0])) > 3


def test_a_sweep_goes_on_where_some_runs_are_finished(tmp_path: Path) -> None:
    """Other ranks know nothing of those: their command ends as that of rank 0."""
    words = (
        "-m",
        "peftlab",
        "-m",
        *RUN[:3],
        "fit.epochs=2",
        "hydra.sweep.dir=outputs/s",
        "hydra/sweeper=racing",
    )
    words = (*words, "dataset.val_fraction=0.2", "hydra.sweeper.rungs=[0.5]")
    lost = tmp_path / "scratch" / "peftlab-rank-killed"
    lost.mkdir(parents=True)
    assert go(tmp_path, *TWO, *words, "peft.rank=2") == 0, (tmp_path / "said.txt").read_text()
    assert go(tmp_path, *TWO, *words, "peft.rank=2,4") == 0, (tmp_path / "said.txt").read_text()
    assert sorted(metrics(tmp_path)) == sorted(
        path.parent.name for path in tmp_path.rglob("adapter.safetensors")
    )
    assert len(metrics(tmp_path)) == 2
    assert not lost.exists(), "what a killed rank left"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_once_and_the_same_command_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path, *TWO, "-m", "peftlab", *RUN)
    wait_for(lambda: any((tmp_path / "outputs").rglob("last/state.pt")), 300, "a save")
    process.send_signal(number)  # to torchrun, which tells the ranks
    assert process.wait(100) != 0
    said = (tmp_path / "said.txt").read_text()
    assert said.count("interrupted and saved") == 1, said
    assert json.loads(next((tmp_path / "outputs").rglob("status.json")).read_text())["state"] == "interrupted"
    assert go(tmp_path, *TWO, "-m", "peftlab", *RUN) == 0, said
    found = [row["step"] for row in next(iter(rows(tmp_path).values()))]
    assert found == list(range(1, 151)), "no step twice, none left out"


def test_a_rank_that_fails_ends_all_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    assert go(tmp_path, *TWO, "fails.py", "-m", *RUN, "seed=0,1") == 1
    said = (tmp_path / "said.txt").read_text()
    assert said.count("peftlab: rank 1: MemoryError: as if out of memory") == 1, said
    states = [json.loads(path.read_text()) for path in sorted((tmp_path / "outputs").rglob("status.json"))]
    assert [state["state"] for state in states] == ["failed"], "no job after it starts with half of the ranks"
    assert "as if out of memory" in states[0]["error"]


def test_a_wrong_command_is_refused_once(tmp_path: Path) -> None:
    assert go(tmp_path, *TWO, "-m", "peftlab", *RUN, "peft=lorra") == 1, (
        "of torchrun, whatever a rank ends with"
    )
    assert (tmp_path / "said.txt").read_text().count("is not a choice of the group peft") == 1
