"""hydra/sweeper=racing from the command line, with runs that only pretend, and once with real ones."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fixtures.answers import words_of, write_answers
from safetensors.torch import load_file

from peftlab.errors import UserError
from peftlab.record.record import Record

RACE = (
    "-m",
    "hydra/sweeper=racing",
    "dataset.val_fraction=0.2",
    "fit.epochs=8",
    "hydra.sweep.dir=s",
    "hydra.sweeper.clear=false",
)
Call = Callable[..., SimpleNamespace]


def states(folder: Path) -> dict[str, str]:
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*/status.json"))]
    return {f"{said['choices']['peft.rank']}/{said['seed']}": said["state"] for said in found}


def test_the_lower_half_stops_at_each_rung_and_the_others_end(
    call: Call, trained: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    said = call(*RACE, "peft.rank=2,4,6,8", "seed=0,1")
    assert said.code == 0, said.err
    reached = {rank: max(epoch for own, _, epoch in trained if own == rank) for rank in (2, 4, 6, 8)}
    assert reached == {2: 1, 4: 1, 6: 2, 8: 8}
    assert len(trained) == len(set(trained)) == 2 * (1 + 1 + 2 + 8), "an epoch was trained twice"
    assert states(tmp_path / "s") == {
        **{f"{rank}/{seed}": "stopped" for rank in (2, 4, 6) for seed in (0, 1)},
        **{f"8/{seed}": "ok" for seed in (0, 1)},
    }
    race = json.loads((tmp_path / "s" / "race.json").read_text())
    assert race["outcome"]["winner"] == "peft.rank=8"
    assert (race["outcome"]["epochs"], race["outcome"]["epochs_of_grid"]) == (24, 64)
    assert race["outcome"]["not_looked_at"] == {"peft.rank=2": 14, "peft.rank=4": 14, "peft.rank=6": 12}
    assert "24 of 64 epochs of the grid (0.38 of its cost)" in said.out
    assert "peft.rank=4" in (tmp_path / "s" / "race.md").read_text()
    trained.clear()
    assert call(*RACE, "peft.rank=2,4,6,8", "seed=0,1").code == 0
    assert trained == [], "a race that is over costs nothing"
    plain = [word for word in RACE if "hydra/sweeper" not in word and "hydra.sweeper" not in word]
    assert call(*plain, "peft.rank=2,4,6,8", "seed=0,1").code == 0
    assert set(states(tmp_path / "s").values()) == {"ok"}, "a plain sweep goes on with the rest"
    assert len(trained) == 40


@pytest.mark.parametrize("at", [(4, 0, 1), (8, 1, 2), (8, 0, 7)])
def test_a_race_that_was_interrupted_goes_on_and_decides_the_same(
    call: Call,
    trained: list[tuple[int, int, int]],
    kill: dict[str, tuple[int, int, int]],
    tmp_path: Path,
    at: tuple[int, int, int],
) -> None:
    kill["at"] = at
    words = (*RACE, "peft.rank=2,4,6,8", "seed=0,1")
    assert call(*words).code == 130
    before = len(trained)
    assert call(*words).code == 0
    assert before < len(trained) == len(set(trained)) == 24
    race = json.loads((tmp_path / "s" / "race.json").read_text())
    assert race["outcome"]["winner"] == "peft.rank=8"


@pytest.mark.parametrize("again", [False, True])
def test_what_somebody_else_ends_is_no_part_of_a_decision(
    call: Call,
    trained: list[tuple[int, int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    """As a worker that is told to stop, or that Slurm loses: its job is given once more, and without it nothing is decided."""
    whole, cut = Record.status, [2 if again else 1]

    def status(record: Record, state: str, **more: object) -> None:
        if state == "stopped" and record.config["peft"]["rank"] == 8 and cut[0]:
            cut[0] -= 1
            return whole(record, "interrupted")
        return whole(record, state, **more)

    monkeypatch.setattr(Record, "status", status)
    words = (*RACE, "peft.rank=2,4,6,8")
    said = call(*words)
    assert said.code == int(again)
    assert ("s: 1 of its jobs cut off, and the race with them; the same command goes on" in said.err) == again
    assert (tmp_path / "s" / "race.md").exists() != again
    assert call(*words).code == 0
    assert max(epoch for rank, _, epoch in trained if rank == 8) == 8
    assert json.loads((tmp_path / "s" / "race.json").read_text())["outcome"]["winner"] == "peft.rank=8"


def cause(error: Exception, said: str) -> Exception:
    """The sentence that a library or we make of an error."""
    made = UserError(said)
    made.__cause__ = error
    return made


FULL, BROKEN = (OSError(number, os.strerror(number), "file") for number in (errno.ENOSPC, errno.EIO))


@pytest.mark.parametrize(
    ("error", "at"),
    [
        (FULL, "first row"),
        (FULL, "later rung"),
        (FULL, "before it begins"),
        (cause(BROKEN, "7.png cannot be read"), "before it begins"),
        (MemoryError("no memory"), "first row"),
        (torch.OutOfMemoryError("CUDA out of memory"), "later rung"),
    ],
    ids=["full", "full-later", "full-before", "picture", "memory", "gpu"],
)
def test_what_the_machine_fails_is_no_part_of_a_decision(
    call: Call,
    trained: list[tuple[int, int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    at: str,
) -> None:
    """The best cell has no room, no memory or a bad disk: it stops the race, and is not passed over."""
    whole_append, whole_take, short = Record.append, Record.take, [True]

    def is_hit(record: Record, epoch: int) -> bool:
        return short[0] and record.config["peft"]["rank"] == 8 and epoch == (1 if at == "first row" else 2)

    def append(record: Record, row: dict[str, float]) -> None:
        if at != "before it begins" and is_hit(record, int(row["epoch"])):
            raise error
        whole_append(record, row)

    def take(record: Record, resume: bool) -> bool:
        if at == "before it begins" and is_hit(record, 2 * (record.folder / "metrics.jsonl").exists()):
            raise error
        return whole_take(record, resume)

    monkeypatch.setattr(Record, "append", append)
    monkeypatch.setattr(Record, "take", take)
    words = (*RACE, "peft.rank=2,4,6,8")
    said = call(*words)
    assert said.code == 1
    assert "s: 1 of its jobs cut off, and the race with them; the same command goes on" in said.err
    assert not (tmp_path / "s" / "race.md").exists()
    short[0] = False
    assert call(*words).code == 0
    race = json.loads((tmp_path / "s" / "race.json").read_text())
    assert race["outcome"]["winner"] == "peft.rank=8"
    judged = [sorted(rung["cells"]) for rung in race["rungs"]]
    assert judged[:2] == [[f"peft.rank={rank}" for rank in ranks] for ranks in ((2, 4, 6, 8), (6, 8))]
    assert len(trained) == len(set(trained)) == 1 + 1 + 2 + 8


def test_a_job_that_fails_is_not_judged_and_is_tried_again(
    call: Call, trained: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    said = call(*RACE, "peft.rank=13,4,8", "hydra.sweeper.keep=0.4")
    assert said.code == 1
    assert states(tmp_path / "s") == {"13/0": "failed", "4/0": "stopped", "8/0": "ok"}
    assert "winner on validation (mean_acc): peft.rank=8" in said.out


def test_resume_false_starts_over_once(call: Call, trained: list[tuple[int, int, int]]) -> None:
    words = (*RACE, "peft.rank=2,8")
    assert call(*words).code == 0
    assert call(*words, "resume=false").code == 0
    assert len(trained) == 2 * (1 + 8)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["dataset.val_fraction=0"],
            "dataset.val_fraction=0 leaves a race no items to compare cells on; legal: above 0",
        ),
        (["fit.stop_after=2"], "fit.stop_after=2 is what a race sets at each of its rungs; legal: null"),
        (
            ["hydra.sweeper.keep=2"],
            "hydra.sweeper.keep=2 is no share of the cells; legal: between 0 and 1, or null",
        ),
        (["hydra.sweeper.keep=null", "hydra.sweeper.clear=false"], "stop no cell; legal: one of the two"),
        (
            ["hydra.sweeper.rungs=[0.5,0.25]"],
            "hydra.sweeper.rungs=[0.5, 0.25] are no shares of fit.epochs in order",
        ),
    ],
)
def test_a_race_that_cannot_be_is_refused_before_the_first_job(
    call: Call, trained: list[tuple[int, int, int]], tmp_path: Path, words: list[str], sentence: str
) -> None:
    said = call(*RACE, "peft.rank=2,8", *words)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert sentence in said.err
    assert not (tmp_path / "s").exists()


def test_a_metric_that_is_not_measured_is_named(call: Call, trained: list[tuple[int, int, int]]) -> None:
    said = call(*RACE, "peft.rank=2,8", "hydra.sweeper.metric=accuracy")
    assert said.code == 2
    assert "hydra.sweeper.metric=accuracy is not measured; legal: mean_acc" in said.err


def test_runs_that_write_answers_are_compared_by_their_likelihood(call: Call, tmp_path: Path) -> None:
    words = (*RACE, *words_of(write_answers(tmp_path / "sums")), "hydra.sweeper.rungs=[0.5]", "fit.epochs=2")
    said = call(*words, "optim.lr=0.02,0.0001", "hydra.sweeper.metric=mean_acc")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert (
        "metric=mean_acc cannot be compared with task=generate; legal: log_likelihood, token_acc, or"
        in said.err
    )
    assert not (tmp_path / "s").exists()
    assert call(*words, "optim.lr=0.02,0.0001").code == 0
    race = json.loads((tmp_path / "s" / "race.json").read_text())
    assert (race["policy"]["metric"], race["outcome"]["winner"]) == ("log_likelihood", "optim.lr=0.02")


def test_jobs_of_several_tasks_have_no_metric_of_their_own(call: Call, tmp_path: Path) -> None:
    words = [word for word in words_of(write_answers(tmp_path / "sums")) if not word.startswith("task")]
    said = call(*RACE, *words, "task=classify,generate")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert (
        "metric=null is log_likelihood and mean_acc in jobs of several tasks; legal: jobs of one" in said.err
    )
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_who_wins_a_race_ends_as_the_run_that_it_would_have_been(call: Call, tmp_path: Path) -> None:
    words = [
        "-m",
        "backbone=tiny",
        "device=cpu",
        "fit.epochs=4",
        "fit.batch_size=64",
        "dataset.val_fraction=0.2",
    ]
    words += ["optim.lr=0.1,0.00001", "peft=adaptformer"]
    assert call(*words, "hydra/sweeper=racing", "hydra.sweep.dir=race").code == 0
    assert call(*words, "hydra.sweep.dir=grid").code == 0
    ends = [path.parent for path in (tmp_path / "race").glob("*/result.json")]
    assert len(ends) == 1
    (race,) = ends
    grid = tmp_path / "grid" / race.name
    first, second = (load_file(folder / "adapter.safetensors") for folder in (race, grid))
    assert all(torch.equal(first[name], second[name]) for name in first)
    results = [json.loads((folder / "result.json").read_text())["metrics"] for folder in (race, grid)]
    assert results[0] == results[1]
