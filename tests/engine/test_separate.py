"""One job after the other: what is skipped, what a failure leaves, and what is said outside of a sweep."""

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from peftlab.config.file import config_text
from peftlab.config.resolved import Resolved
from peftlab.engine.job import Job
from peftlab.engine.separate import run_job
from peftlab.errors import UserError
from peftlab.record.lock import Lock
from peftlab.record.record import Record
from peftlab.record.whole import files_of

Config = Callable[..., dict[str, Any]]
Outcome = Callable[[Record], None]


def finishes(record: Record, state: str = "ok") -> None:
    record.take(record.config["resume"])
    record.status("running")
    record.write_text("config.yaml", config_text(record.config))
    record.write(
        "result.json", {"run_id": "1", "metrics": {"test/mean_acc": 0.5}, "files": files_of(record.folder)}
    )
    record.status(state)


def breaks(record: Record) -> None:
    raise ZeroDivisionError("thirteen")


def is_refused(record: Record) -> None:
    raise UserError("dataset.path=gone is not a folder; legal: one that is")


def is_stopped_by_a_key(record: Record) -> None:
    if not record.folder.exists():  # else before it has begun
        record.status("running")
    raise KeyboardInterrupt


def is_stopped_and_saved(record: Record) -> None:
    record.status("running")
    record.status("interrupted")
    raise SystemExit(130)


@pytest.fixture
def go(composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Resolved]]:
    """`go(outcome, "peft.rank=3")`: the job of these words, whose run ends so; what has been run until now."""
    ran: list[Resolved] = []

    def make(outcome: Outcome, *words: str, group: str | None = None, name: str = "run") -> list[Resolved]:
        def pretend(resolved: Resolved, record: Record, given: str | None) -> None:
            assert given == group
            ran.append(resolved)
            outcome(record)

        monkeypatch.setattr("peftlab.search.stages.run_found", pretend)
        config = composed("backbone=tiny", *words)
        run_job(Job(config, Record(tmp_path / name, {}, config), group))
        return ran

    return make


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return found


def test_a_job_is_run_with_its_resolved_config(go: Any, tmp_path: Path) -> None:
    (resolved,) = go(finishes, "peft.rank=3")
    assert resolved.parts[0].form.options["rank"] == 3
    assert resolved.raw["peft"]["rank"] == 3
    assert status(tmp_path / "run")["state"] == "ok"


@pytest.mark.parametrize("group", [None, "sweep"])
def test_what_is_finished_is_skipped_unless_it_shall_start_over(
    go: Any, capsys: pytest.CaptureFixture[str], group: str | None
) -> None:
    assert len(go(finishes, group=group)) == 1
    assert len(go(finishes, group=group)) == 1
    assert "finished before (ok); resume=false runs it again" in capsys.readouterr().err
    assert len(go(finishes, "resume=false", group=group)) == 2


def test_in_a_sweep_a_failure_is_recorded_and_the_next_job_starts(
    go: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(breaks, group="sweep", name="first")
    found = status(tmp_path / "first")
    assert (found["state"], found["error"]) == ("failed", "ZeroDivisionError: thirteen")
    assert found["of_machine"] is False
    assert "in breaks" in found["traceback"]
    assert "Traceback" in capsys.readouterr().err
    go(is_refused, group="sweep", name="second")
    found = status(tmp_path / "second")
    sentence = "dataset.path=gone is not a folder; legal: one that is"
    assert (found["state"], found["error"], found["traceback"]) == ("failed", sentence, None)
    assert capsys.readouterr().err == f"peftlab: {sentence}\n"
    assert len(go(finishes, group="sweep", name="third")) == 3
    assert status(tmp_path / "third")["state"] == "ok"
    assert len(go(finishes, group="sweep", name="first")) == 4, "a failed job is retried"


def test_in_a_sweep_a_config_that_is_wrong_is_a_failed_job(
    go: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(finishes, "peft.rank=-1", group="sweep") == []
    found = status(tmp_path / "run")
    assert (found["state"], found["traceback"]) == ("failed", None)
    assert found["error"].startswith("peft.rank=-1")
    assert capsys.readouterr().err.startswith("peftlab: peft.rank=-1")


@pytest.mark.parametrize(("outcome", "words"), [(is_refused, ()), (finishes, ("peft.rank=-1",))])
def test_outside_a_wrong_input_is_one_sentence_and_leaves_no_folder(
    go: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], outcome: Outcome, words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as stop:
        go(outcome, *words)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("peftlab: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_outside_a_failure_is_recorded_with_its_traceback_and_ends_with_1(
    go: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        go(breaks)
    assert stop.value.code == 1
    assert "ZeroDivisionError: thirteen" in capsys.readouterr().err
    assert (status(tmp_path / "run")["state"], "in breaks" in status(tmp_path / "run")["traceback"]) == (
        "failed",
        True,
    )


@pytest.mark.parametrize("group", [None, "sweep"])
@pytest.mark.parametrize("outcome", [is_stopped_by_a_key, is_stopped_and_saved])
def test_an_interrupt_ends_all_with_130(go: Any, tmp_path: Path, outcome: Outcome, group: str | None) -> None:
    with pytest.raises(SystemExit) as stop:
        go(outcome, group=group)
    assert stop.value.code == 130
    assert status(tmp_path / "run")["state"] == "interrupted"


def test_an_interrupt_before_a_run_has_begun_leaves_nothing(go: Any, tmp_path: Path) -> None:
    def is_stopped_while_it_is_built(record: Record) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        go(is_stopped_while_it_is_built)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("group", [None, "sweep"])
def test_the_folder_of_a_live_process_is_left_alone(
    go: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], group: str | None
) -> None:
    go(finishes, group=group)
    lock = Lock(tmp_path / "run")  # as another process has it
    assert lock.take()
    before = contents(tmp_path / "run")
    for words in ((), ("resume=false",)):
        if group is None:
            with pytest.raises(SystemExit) as stop:
                go(finishes, *words)
            assert stop.value.code == 2
        else:
            go(finishes, *words, group=group)
        assert "is being written by process" in capsys.readouterr().err
    assert contents(tmp_path / "run") == before
    lock.release()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("group", [None, "sweep"])
@pytest.mark.parametrize("state", ["ok", "diverged", "interrupted", "running"])
@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (is_refused, ("resume=false",)),  # as device=cuda, a wrong checkpoint, data that are gone
        (is_refused, ()),
        (finishes, ("peft.rank=-1",)),
        (finishes, ("optim.lr=0.123",)),  # another config
        (breaks, ("resume=false",)),
        (is_stopped_by_a_key, ("resume=false",)),
    ],
    ids=["refused-over", "refused", "wrong", "another", "broken-over", "key"],
)
def test_a_refused_job_changes_nothing(
    go: Any, tmp_path: Path, group: str | None, state: str, outcome: Outcome, words: tuple[str, ...]
) -> None:
    go(partial(finishes, state=state), group=group)
    (tmp_path / "run" / "last").mkdir()
    (tmp_path / "run" / "last" / "state.pt").write_bytes(b"weights")
    before = contents(tmp_path / "run")
    with contextlib.suppress(SystemExit):
        go(outcome, *words, group=group)
    assert contents(tmp_path / "run") == before


def test_what_no_folder_tells_is_told_to_the_sweep(
    composed: Config, tmp_path: Path, go: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(finishes, group="sweep")
    config = composed("backbone=tiny", "optim.lr=0.123")
    told = run_job(Job(config, Record(tmp_path / "run", {}, config), "sweep"))
    assert told is not None
    assert re.search(r"holds the run of another config: optim.lr=[0-9.]+ there, 0.123 now", told)
    assert run_job(Job(config, Record(tmp_path / "new", {}, config), "sweep")) is None


@pytest.mark.parametrize("group", [None, "sweep"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_is_a_sentence_and_the_next_job_starts(
    go: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], group: str | None, number: int
) -> None:
    def fills(record: Record) -> None:
        record.status("running")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", full)
            record.write("result.json", {})

    def full(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number), str(source), None, str(target))

    if group is None:
        with pytest.raises(SystemExit) as stop:
            go(fills)
        assert stop.value.code == 1
    else:
        go(fills, group=group)
    said = capsys.readouterr().err
    path = tmp_path / "run" / "result.json"
    assert said.strip() == (
        f"peftlab: {path} cannot be used ({os.strerror(number)}); legal: a place with room that may be read and written"
    )
    assert status(tmp_path / "run")["state"] == "failed", "there was room for that again"
    assert len(go(finishes, group=group, name="second")) == 2
