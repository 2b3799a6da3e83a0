"""A run's folder: whole files, honest states, and who may write in it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peftlab.errors import UserError
from peftlab.record import record as module
from peftlab.record.record import Record

CONFIG = {"seed": 0, "peft": {"rank": 8}}


def record(folder: Path) -> Record:
    return Record(folder, {"peft.rank": "8"}, CONFIG, 3)


@pytest.fixture
def live() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is alive."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def left_by(folder: Path, pid: int, state: str = "running", **more: Any) -> Path:
    """A status.json as another process leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    status = {"state": state, "pid": pid, "host": socket.gethostname(), "started": time.time(), **more}
    (folder / "status.json").write_text(json.dumps(status))
    return folder / "status.json"


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_status_says_who_what_and_when(tmp_path: Path) -> None:
    run = record(tmp_path / "a" / "b")
    assert run.skip(resume=True) is False
    status = run.read("status.json")
    assert (status["state"], status["name"], status["number"]) == ("running", "b", 3)
    assert (status["choices"], status["seed"]) == ({"peft.rank": "8"}, 0)
    assert (status["pid"], status["host"]) == (os.getpid(), socket.gethostname())
    assert (status["error"], status["traceback"]) == (None, None)
    assert abs(status["started"] + status["wall_s"] - time.time()) < 5


def test_states_follow_each_other(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.skip(resume=True)
    run.fail("ValueError: no", "Traceback ...")
    failed = run.read("status.json")
    assert (failed["state"], failed["error"], failed["traceback"]) == (
        "failed",
        "ValueError: no",
        "Traceback ...",
    )
    assert record(tmp_path).skip(resume=True) is False  # a failed run is retried ...
    again = run.read("status.json")
    assert (again["state"], again["error"], again["traceback"]) == (
        "running",
        None,
        None,
    )  # ... from a clean slate
    run.status("interrupted")
    assert record(tmp_path).skip(resume=True) is False
    run.status("ok")
    run.write("result.json", {"metrics": {}})
    assert record(tmp_path).skip(resume=True) is True
    assert run.read("status.json")["state"] == "ok"


@pytest.mark.parametrize("state", ["ok", "diverged"])
def test_a_finished_run_is_skipped_and_says_so(
    tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(tmp_path)
    run.status(state)
    assert record(tmp_path).skip(resume=True) is False  # no result, so it is not finished
    run.write("result.json", {"metrics": {"test/mean_acc": 0.5}})
    run.status(state)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert record(tmp_path).skip(resume=True) is True
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert f"{tmp_path}: finished before ({state}); resume=false runs it again" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["failed", "interrupted", "running", "", "nonsense"])
def test_every_other_state_runs_again(tmp_path: Path, state: str) -> None:
    left_by(tmp_path, dead_pid(), state)
    (tmp_path / "result.json").write_text('{"metrics": {}}')
    assert record(tmp_path).skip(resume=True) is False


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"state": "ok"', "\x00\x00"])
def test_a_status_that_cannot_be_read_runs_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    (tmp_path / "result.json").write_text('{"metrics": {}}')
    assert record(tmp_path).skip(resume=True) is False


def test_a_status_that_is_not_even_text_runs_again(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(b"\xff\xfe{")
    assert record(tmp_path).skip(resume=True) is False


def test_a_killed_run_is_retried(tmp_path: Path) -> None:
    left_by(tmp_path, dead_pid())
    assert record(tmp_path).skip(resume=True) is False


def test_a_reused_pid_is_not_the_run(tmp_path: Path, live: subprocess.Popen[bytes]) -> None:
    """The process with that number began long after the run said that it began."""
    left_by(tmp_path, live.pid, started=time.time() - 3600)
    assert record(tmp_path).skip(resume=True) is False


@pytest.mark.parametrize("broken", [{"pid": None}, {"pid": "x"}, {"started": None}, {"pid": -5}])
def test_a_status_without_a_usable_process_is_retried(tmp_path: Path, broken: dict[str, Any]) -> None:
    left_by(tmp_path, **{"pid": os.getppid(), **broken})
    assert record(tmp_path).skip(resume=True) is False


@pytest.mark.parametrize("resume", [True, False])
def test_a_live_run_is_refused_and_left_alone(
    tmp_path: Path, live: subprocess.Popen[bytes], resume: bool
) -> None:
    """Neither by the refusal nor by what the command line does after it: discard, or fail in a sweep."""
    status = left_by(tmp_path, live.pid)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    before = status.read_text()
    run = record(tmp_path)
    with pytest.raises(
        UserError, match=f"{tmp_path} is being written by process {live.pid}; wait for it or stop it"
    ):
        run.skip(resume)
    run.discard()
    run.fail("it is being written")
    assert status.read_text() == before
    assert (tmp_path / "metrics.jsonl").exists()
    live.kill()
    live.wait()
    assert record(tmp_path).skip(resume=True) is False


def test_resume_false_clears_what_a_run_wrote(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.status("ok")
    run.write("result.json", {"metrics": {}})
    run.append({"step": 1})
    run.write_text("last/state.pt", "x")
    run.write_text("wandb/offline-run/run.wandb", "x")
    (tmp_path / "gamma.csv").write_text("x")
    assert record(tmp_path).skip(resume=False) is False
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
    assert run.read("status.json")["state"] == "running"


def test_resume_false_leaves_what_is_not_a_run_s(tmp_path: Path) -> None:
    """hydra.run.dir may name any folder."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "notes.md").write_text("more of it")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "state.pt").write_text("x")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "last").symlink_to(elsewhere)
    record(tmp_path).skip(resume=False)
    record(folder).skip(resume=False)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert (tmp_path / "notes.md").exists()
    assert (elsewhere / "state.pt").exists()
    assert not (folder / "last").exists()


def test_everything_that_a_run_writes_is_cleared() -> None:
    """The names of files in the sources that write into the folder."""
    package = Path(str(module.__file__)).parents[1]
    text = "".join(path.read_text() for room in ("record", "run") for path in (package / room).glob("*.py"))
    written = set(re.findall(r'"([a-z_]+\.(?:ya?ml|json|jsonl|csv|png|safetensors))"', text)) | {
        "status.json",
        "metrics.jsonl",
    }
    assert len(written) >= 10
    assert written <= set(module.WRITTEN)


def test_discard_leaves_no_trace_of_a_wrong_input(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    run.skip(resume=True)
    run.discard()
    assert not (tmp_path / "run").exists()


def test_discard_keeps_what_was_run_before(tmp_path: Path) -> None:
    run = record(tmp_path / "run")
    run.write_text("last/state.pt", "x")
    run.discard()
    assert (tmp_path / "run" / "last" / "state.pt").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = record(tmp_path)
    run.write("result.json", {"value": 1})
    moved: list[tuple[str, str]] = []
    replace = os.replace

    def spy(source: Path, target: Path) -> None:
        assert json.loads(Path(source).read_text()) == {"value": 2}  # complete before it takes the name ...
        assert json.loads(Path(target).read_text()) == {"value": 1}  # ... which until then holds the old one
        moved.append((Path(source).name, Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    run.write("result.json", {"value": 2})
    assert moved == [(f".result.json.{os.getpid()}", "result.json")]
    assert run.read("result.json") == {"value": 2}

    def killed(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run.write("result.json", {"value": 3})
    assert run.read("result.json") == {"value": 2}


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.write("result.json", {"value": 1})
    with pytest.raises(TypeError):
        run.write("result.json", {"value": object()})
    assert run.read("result.json") == {"value": 1}


def test_what_is_not_finite_becomes_null(tmp_path: Path) -> None:
    """In both kinds of file; json_text, which writes them, has a test of its own."""
    run = record(tmp_path)
    run.write("result.json", {"loss": [float("nan"), float("inf")]})
    run.append({"step": 1, "loss": float("nan")})
    assert json.loads((tmp_path / "result.json").read_text()) == {"loss": [None, None]}
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": None}


def steps(run: Record) -> list[int]:
    return [json.loads(line)["step"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def test_rewind_drops_what_came_after_the_saved_step(tmp_path: Path) -> None:
    run = record(tmp_path)
    for step in (1, 2, 3, 3, 4):
        run.append({"step": step})
    run.rewind(3)
    assert steps(run) == [1, 2, 3, 3]
    run.append({"step": 4})
    assert steps(run) == [1, 2, 3, 3, 4]
    run.rewind(0)
    assert steps(run) == []


@pytest.mark.parametrize("cut", ['{"step": 3, "lo', '{"step": 3, "loss": 0.5', "{", "\x00\x00\x00"])
def test_rewind_drops_a_last_line_that_a_kill_cut_short(tmp_path: Path, cut: str) -> None:
    run = record(tmp_path)
    for step in (1, 2):
        run.append({"step": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(cut)
    run.rewind(3)
    run.append({"step": 3})
    assert steps(run) == [1, 2, 3]


def test_rewind_keeps_a_whole_last_line_without_its_end(tmp_path: Path) -> None:
    run = record(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}')
    run.rewind(2)
    run.append({"step": 3})
    assert steps(run) == [1, 2, 3]


def test_rewind_without_a_file_makes_an_empty_one(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.rewind(5)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_read_gives_an_empty_dict_for_what_is_absent(tmp_path: Path) -> None:
    assert record(tmp_path).read("nosuch.json") == {}
