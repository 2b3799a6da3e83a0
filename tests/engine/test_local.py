"""The queue of the workers: with workers that only pretend, and once with real ones from the command line."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from peftlab.engine import local
from peftlab.engine.device import Device
from peftlab.engine.job import Job
from peftlab.engine.local import Limits, Pool
from peftlab.engine.worker import Answer, Worker
from peftlab.record.record import Record

TINY = ("backbone=tiny", "device=cpu", "fit.epochs=2", "fit.batch_size=64", "hydra/launcher=local")


class Pretend(Worker):
    """A worker whose jobs do as the config of one says: `ok`, `die` (`once`: only the first), `hang`, `eat`, or `slow`, which
    ends when it is asked to.
    """

    made: list["Pretend"] = []  # noqa: RUF012

    def __init__(self, slot: int, device: Device, log: Path) -> None:
        self.slot, self.device, self.given = slot, device, list[str]()
        mine, self._its = os.pipe()
        self.eats = False
        self._answers = os.fdopen(mine, "rb")
        Pretend.made.append(self)

    @property
    def memory_gb(self) -> float:
        return 5.0 if self.eats else 1.0

    def give(self, jobs: Sequence[Job]) -> None:
        name, does = "+".join(job.record.folder.name for job in jobs), {job.config["does"] for job in jobs}
        if does == {"once"}:
            does = {"ok" if any(name in worker.given for worker in Pretend.made) else "die"}
        self.given.append(name)
        self.eats = "eat" in does
        if does == {"ok"}:
            os.write(self._its, pickle.dumps(Answer(False, [None] * len(jobs))))
        elif "die" in does:
            os.close(self._its)

    def answer(self) -> Answer | None:
        try:
            return Answer(*pickle.load(self._answers))
        except EOFError:
            return None

    def ask_to_stop(self) -> None:
        os.write(self._its, pickle.dumps(Answer(True, [])))

    def kill(self) -> None:
        pass

    def close(self) -> int:
        self._answers.close()
        return -signal.SIGKILL


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pool]:
    """Two workers, and runs that may write nothing for a moment."""
    monkeypatch.setattr(local, "Worker", Pretend)
    monkeypatch.setattr(local, "TICK_S", 0.01)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir()
    Pretend.made = []
    made = Pool(2, Limits(hang_s=0.05, memory_gb=4))
    yield made
    made.close()


def jobs(folder: Path, *does: str) -> Iterator[Job]:
    for number, what in enumerate(does):
        config = {"does": what, "device": "cpu"}
        yield Job(config, Record(folder / f"{number}", {}, config, number), "sweep")


def state(folder: Path) -> Any:
    return json.loads((folder / "status.json").read_text())


def test_two_workers_take_all_jobs_and_stay(pool: Pool, tmp_path: Path) -> None:
    ended = dict(pool.run(jobs(tmp_path, *["ok"] * 5), 5, tmp_path))
    assert ended == dict.fromkeys(range(5))
    assert sorted(name for worker in Pretend.made for name in worker.given) == ["0", "1", "2", "3", "4"]
    assert [worker.device.name for worker in Pretend.made] == ["core 0", "core 1"]
    list(pool.run(jobs(tmp_path, "ok"), 1, tmp_path))
    assert len(Pretend.made) == 2, "the next round has the same workers"


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        (
            "die",
            "its worker on cores 0-1 died (signal SIGKILL, which the kernel sends where memory is short), 2 times",
        ),
        ("hang", "it wrote nothing for 0.05 s (hydra.launcher.hang_s), 2 times"),
        ("eat", "its worker took more than 4 GiB of memory (hydra.launcher.memory_gb), 2 times"),
    ],
)
def test_a_worker_that_is_lost_twice_is_the_failure_of_its_job(
    does: str, sentence: str, pool: Pool, tmp_path: Path
) -> None:
    pool.workers = 1
    pool.limits = Limits(hang_s=0.05 if does == "hang" else None, memory_gb=4)
    ended = dict(pool.run(jobs(tmp_path, does, "ok", "ok"), 3, tmp_path))
    assert ended == {0: None, 1: None, 2: None}
    said = state(tmp_path / "0")
    assert (said["state"], said["error"], said["of_machine"]) == ("failed", sentence, True)
    assert sum(worker.given.count("0") for worker in Pretend.made) == 2
    assert not (tmp_path / "1").exists()


def test_the_job_of_a_lost_worker_is_begun_once_more_by_another(
    pool: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dict(pool.run(jobs(tmp_path, "once", "ok"), 2, tmp_path)) == {0: None, 1: None}
    assert not (tmp_path / "0").exists(), "nothing is said of a job that then ended"
    assert [worker.given.count("0") for worker in Pretend.made if "0" in worker.given] == [1, 1]
    assert "0: its worker on core 0 died" in capsys.readouterr().err


def test_the_memory_of_a_worker_is_what_it_holds(tmp_path: Path) -> None:
    cores = tuple(sorted(os.sched_getaffinity(0))[:1])
    worker = Worker(0, Device(None, cores), tmp_path / "log")
    until = time.monotonic() + 60
    while not 0.005 < worker.memory_gb < 4:
        assert time.monotonic() < until
        time.sleep(0.05)
    worker.kill()
    assert worker.close() == -signal.SIGKILL
    assert worker.memory_gb == 0


def test_an_interrupt_stops_every_worker(pool: Pool, tmp_path: Path) -> None:
    pool.limits = Limits()
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(SystemExit) as stop:
        list(pool.run(jobs(tmp_path, "slow", "slow", "slow"), 3, tmp_path))
    assert signal.signal(signal.SIGTERM, before) == signal.SIG_IGN
    assert stop.value.code == 130
    assert [worker.given for worker in Pretend.made] == [["0"], ["1"]]


def in_groups(jobs: Sequence[Job], workers: int, max_cells: int | None) -> list[list[int]]:
    assert (workers, max_cells) == (2, 4)
    return [[at for at in range(len(jobs)) if at % 2 == part] for part in (0, 1)]


def test_a_group_is_what_a_worker_is_given(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many jobs are composed at a time as the groups of all workers hold."""
    monkeypatch.setattr(local, "grouped", in_groups)
    pool.max_cells = 4
    ended = dict(pool.run(jobs(tmp_path, *["ok"] * 10), 10, tmp_path))
    assert ended == dict.fromkeys(range(10))
    assert sorted(name for worker in Pretend.made for name in worker.given) == [
        "0+2+4+6",
        "1+3+5+7",
        "8",
        "9",
    ]


@pytest.mark.parametrize("ends", ["die", "hang", "eat"])
def test_a_group_whose_worker_is_lost_is_halved_until_one_job_is_to_blame(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(local, "grouped", in_groups)
    pool.max_cells = 4
    does = ["ok", "ok", "ok", "ok", ends, "ok", "ok", "ok"]
    ended = dict(pool.run(jobs(tmp_path, *does), 8, tmp_path))
    assert ended == dict.fromkeys(range(8))
    assert {path.parent.name for path in tmp_path.glob("*/status.json")} == {"4"}
    given = [name for worker in Pretend.made for name in worker.given]
    assert {"0+2+4+6", "1+3+5+7", "0+2", "4+6", "4", "6"} == set(given)


def sweep(folder: Path, *words: str, launch: str | None = None) -> int:
    """`peftlab -m`, in a process of its own."""
    command = [sys.executable, "-m", "peftlab", "-m", *TINY[: None if launch else -1], *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    print(done.stdout[-2000:], done.stderr[-2000:])
    return done.returncode


def assert_same_runs(one: Path, other: Path, number: int) -> None:
    """Bit for bit the same weights and metrics."""
    folders = sorted(path.parent.name for path in one.glob("*/result.json"))
    assert len(folders) == number
    assert folders == sorted(path.parent.name for path in other.glob("*/result.json"))
    for name in folders:
        first, second = (load_file(folder / name / "adapter.safetensors") for folder in (one, other))
        assert all(torch.equal(first[key], second[key]) for key in first)
        results = [
            json.loads((folder / name / "result.json").read_text())["metrics"] for folder in (one, other)
        ]
        assert results[0] == results[1]


@pytest.mark.slow
def test_workers_give_the_numbers_of_a_sweep_that_runs_one_after_another(tmp_path: Path) -> None:
    """Jobs in rounds of one epoch, and groups; a thread each, since the order of a sum depends on how many there are."""
    words = ("optim.lr=0.1,0.01", "placement.depth=0,1", "peft=adaptformer")
    assert sweep(tmp_path, *words, "hydra.sweep.dir=one") == 0
    for option in ("interleave=1", "fused=true"):
        local_words = (f"hydra.sweep.dir={option}", "hydra.launcher.workers=null", f"hydra.launcher.{option}")
        assert sweep(tmp_path, *words, *local_words, launch="local") == 0
        assert_same_runs(tmp_path / "one", tmp_path / option, 4)
    attempts = [state(path.parent)["attempt"] for path in tmp_path.glob("interleave=1/*/result.json")]
    assert attempts == [2] * 4, "they were stopped after one epoch"
    logs = [path.read_text() for path in tmp_path.glob("fused=true/.local/*.log")]
    assert [log.count("fused: 2 jobs on one trunk") for log in logs] == [1, 1]


@pytest.mark.slow
def test_a_race_of_groups_on_two_workers_is_the_race_and_a_bad_job_ends_no_other(tmp_path: Path) -> None:
    words = ("optim.lr=0.1,0.01,0.00001", "peft.rank=2,0", "dataset.val_fraction=0.2", "fit.epochs=4")
    words = (*words, "hydra/sweeper=racing")
    for name, more in (("one", ()), ("local", ("hydra.launcher.fused=true",))):
        assert (
            sweep(tmp_path, *words, f"hydra.sweep.dir={name}", *more, launch="local" if more else None) == 1
        )
    one, local = (json.loads((tmp_path / name / "race.json").read_text()) for name in ("one", "local"))
    assert one["rungs"] == local["rungs"]
    assert one["outcome"] == local["outcome"]
    assert_same_runs(
        tmp_path / "one", tmp_path / "local", len(list((tmp_path / "one").glob("*/result.json")))
    )
    assert (
        sorted(state(path.parent)["state"] for path in tmp_path.glob("local/*/status.json"))[:3]
        == ["failed"] * 3
    )


@pytest.mark.slow
def test_the_death_of_the_sweep_ends_its_workers_and_nothing_is_lost(tmp_path: Path) -> None:
    words = ("fit.epochs=300", "optim.lr=0.1,0.01", "hydra.sweep.dir=s", "hydra.launcher.workers=1")
    command = [sys.executable, "-m", "peftlab", "-m", *TINY, *words]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("s/*/last/state.pt")):
        assert time.monotonic() < until
        time.sleep(0.1)
    process.kill()
    process.wait()
    (run,) = (path.parent for path in tmp_path.glob("s/*/status.json"))
    while state(run)["state"] == "running" and time.monotonic() < until:
        time.sleep(0.1)
    assert state(run)["state"] == "interrupted"


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_its_run_ends_as_another(tmp_path: Path) -> None:
    words = ("fit.epochs=15", "optim.lr=0.1,0.01")
    one = (*words, "hydra.launcher.workers=1", "hydra.sweep.dir=one")  # threads as there: bits depend on them
    assert sweep(tmp_path, *one, launch="local") == 0
    command = [sys.executable, "-m", "peftlab", "-m", *TINY, *words, "hydra.sweep.dir=s"]
    command += ["hydra.launcher.workers=1", "hydra.launcher.hang_s=40"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        until = time.monotonic() + 120
        while not list(tmp_path.glob("s/*/last/state.pt")):
            assert time.monotonic() < until
            time.sleep(0.02)
        (run,) = (path.parent for path in tmp_path.glob("s/*/status.json"))
        os.kill(state(run)["pid"], signal.SIGSTOP)
        said = process.communicate(timeout=400)[1]
    assert process.returncode == 0, said
    assert f"{run.name}: it wrote nothing for 40 s" in said
    for one in (tmp_path / "one").glob("*/adapter.safetensors"):
        other = tmp_path / "s" / one.parent.name / one.name
        assert other.read_bytes() == one.read_bytes()
