"""What the folders of a sweep's jobs say, and what is no job."""

from math import isnan
from pathlib import Path
from typing import Any

import pytest
from fixtures.sweep import name_of, put, result

from peftlab.errors import UserError
from peftlab.report.job import read, split_choices


def test_states_of_broken_jobs(broken: Path) -> None:
    jobs = {job.folder.name: job for job in read(broken)}
    assert len(jobs) == 72
    assert jobs[name_of("0-2", "q", 0)].state == "ok"
    assert jobs[name_of("0-2", "q", 2)].state == "diverged"
    assert jobs[name_of("3-5", "q", 0)].state == "interrupted"
    assert jobs[name_of("3-5", "q", 1)].state == "running"
    for seed in range(3):
        job = jobs[name_of("3-5", "k", seed)]
        # the first still has its status; a folder's name is no record
        choices = {} if seed else {"placement.depth": "3-5", "placement.position": "k"}
        assert (job.state, job.seed, job.choices) == ("missing", None if seed else 0, choices)
    assert jobs[name_of("0-2", "k", 1)].error == "CUDA out of memory [q,v]"


def test_a_null_metric_is_nan_and_a_wrong_one_too(tmp_path: Path) -> None:
    put(
        tmp_path / "job",
        "ok",
        {},
        0,
        result={"metrics": {"test/mean_acc": None, "test/tail_acc": "x", "a": True}},
    )
    assert all(map(isnan, read(tmp_path)[0].metrics.values()))


@pytest.mark.parametrize("text", ["[1, 2]", "nonsense", '{"state": "cooking"}', '{"state": 3}', "\udcff"])
def test_a_status_that_makes_no_sense_is_missing(tmp_path: Path, text: str) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "status.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert [job.state for job in read(tmp_path)] == ["missing"]


def test_job_order_is_the_recorded_number_else_natural(tmp_path: Path) -> None:
    for name in ("a=10", "a=9", "a=1"):
        put(tmp_path / name, "running", {}, 0)
    assert [job.folder.name for job in read(tmp_path)] == ["a=1", "a=9", "a=10"]
    put(tmp_path / "z", "running", {}, 0, number=1)
    put(tmp_path / "y", "running", {}, 0, number=2)
    assert [job.folder.name for job in read(tmp_path)][:2] == ["z", "y"]


def test_choices_of_any_kind_are_written_as_typed(tmp_path: Path) -> None:
    choices = {"placement.position": ["q", "v"], "scaling.value": 0.1, "a": None, "b": True, "seed": 4}
    put(tmp_path / "job", "running", choices, 4)
    job = read(tmp_path)[0]
    assert job.choices == {"placement.position": "[q,v]", "scaling.value": "0.1", "a": "null", "b": "true"}
    assert job.seed == 4


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: None, "does not exist; legal is the folder of a sweep."),
        (lambda p: p.write_text("x"), "does not exist; legal is the folder of a sweep."),
        (lambda p: p.mkdir(), "holds no job; legal is a folder with one sub-folder per job."),
    ],
)
def test_a_folder_without_jobs_is_refused(tmp_path: Path, make: Any, sentence: str) -> None:
    make(tmp_path / "sweep")
    with pytest.raises(UserError) as error:
        read(tmp_path / "sweep")
    assert str(error.value) == f"folder={tmp_path / 'sweep'} {sentence}"


def test_what_is_no_job_is_passed_over(tmp_path: Path) -> None:
    for name in (".submitit", "wandb", "thesis"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "debug.log").write_text("no job")
    (tmp_path / "multirun.yaml").write_text("hydra: {}")
    for name in ("config.yaml", "result.json"):
        (tmp_path / f"job {name}").mkdir()
        (tmp_path / f"job {name}" / name).write_text("{}")
    (tmp_path / "killed at its start").mkdir()
    (tmp_path / "killed later" / ".hydra").mkdir(parents=True)
    with pytest.raises(UserError, match="holds no job"):  # of ours
        read(tmp_path)
    put(tmp_path / "ours", "failed", {}, 0)
    found = {job.folder.name: job.state for job in read(tmp_path)}
    names = ("job config.yaml", "job result.json", "killed at its start", "killed later")
    assert found == {**dict.fromkeys(names, "missing"), "ours": "failed"}


def test_a_job_says_how_long_it_took_even_without_a_result(tmp_path: Path) -> None:
    put(tmp_path / "a", "failed", {}, 0, wall_s=2.5, error="  first line\nsecond")
    put(tmp_path / "b", "ok", {}, 1, wall_s=2.5, result={"metrics": {}, "wall_s": 7})
    put(tmp_path / "c", "running", {}, 2)
    first, second, third = read(tmp_path)
    assert (first.wall_s, second.wall_s, isnan(third.wall_s)) == (2.5, 7.0, True)
    assert (first.error, second.error) == ("first line", "")


@pytest.mark.parametrize(("seed", "read_as"), [(3, 3), ("12", 12), (None, None), (-1, None), ("x", None)])
def test_a_seed_is_a_whole_number_or_unknown(tmp_path: Path, seed: Any, read_as: int | None) -> None:
    put(tmp_path / "job", "running", {}, seed)
    assert read(tmp_path)[0].seed == read_as


def test_a_seed_may_stand_among_the_choices_alone(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "status.json").write_text('{"state": "running", "choices": {"a": 1, "seed": 7}}')
    (job,) = read(tmp_path)
    assert (job.seed, job.choices) == (7, {"a": "1"})


def test_what_a_newer_peftlab_wrote_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "job", "ok", {}, 0, result={"format": 99, "metrics": {}})
    with pytest.raises(UserError, match=rf"^{tmp_path / 'job'} has format=99, .*; legal: format 1 to "):
        read(tmp_path)


def test_a_run_with_two_folders_counts_once(tmp_path: Path) -> None:
    same = {**result("0-2", "q", 0), "run_id": "1a2b"}
    put(tmp_path / "peft-lora-1a2b", "ok", {"peft": "lora"}, 0, result=same, number=0)
    put(tmp_path / "seed-0-1a2b", "ok", {"peft": "lora"}, 0, result=same, number=1)
    put(tmp_path / "seed-1-3c4d", "ok", {"peft": "lora"}, 1, result={**same, "run_id": "3c4d"}, number=2)
    assert [job.folder.name for job in read(tmp_path)] == ["peft-lora-1a2b", "seed-1-3c4d"]


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("a=1,b=[q,v]", {"a": "1", "b": "[q,v]"}),
        (
            "placement.position=[q,v] , peft/part@x=lora",
            {"placement.position": "[q,v]", "peft/part@x": "lora"},
        ),
        ("+a=1,~b=", {"+a": "1", "~b": ""}),
        ("path=a=b", {"path": "a=b"}),
        ("a=q,v", {"a": "q,v"}),
        ("q", {}),
        ("q,a=1", {}),
        ("", {}),
    ],
)
def test_choices_are_split_where_the_next_key_begins(text: str, choices: dict[str, str]) -> None:
    assert split_choices(text) == choices
