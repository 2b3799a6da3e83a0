"""A run's folder: whole files, honest states, and who may write in it."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from peftlab.errors import UserError
from peftlab.record.record import Record, missing
from peftlab.record.status import Attempt
from peftlab.record.whole import files_of

CONFIG = {"seed": 0, "peft": {"rank": 8}}
Writer = Callable[[Path], "subprocess.Popen[str]"]


class Own:
    """An identity that is a word."""

    def __init__(self, word: str) -> None:
        self.saved = {"config": word, "inputs": {}}

    def check(self, folder: Path, saved: Mapping[str, Any]) -> None:
        if saved != self.saved:
            raise UserError(f"{folder} holds the run of another config")


def record(folder: Path, word: str = "a") -> Record:
    made = Record(folder, {"peft.rank": "8"}, CONFIG, 3)
    made.identity = Own(word)
    return made


def left(folder: Path, state: str = "ok", word: str = "a", metrics: dict[str, Any] | None = None) -> Path:
    """A folder as a run leaves it."""
    run = record(folder, word)
    run.status("running")
    run.write_text("config.yaml", "format: 2\nseed: 0\n")
    run.append({"step": 1})
    if state in ("ok", "diverged"):
        run.write("result.json", {"run_id": "1", "metrics": metrics or {}, "files": files_of(folder)})
    run.status(state)
    run.release()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_status_says_who_what_and_when(tmp_path: Path) -> None:
    run = record(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists(), "a record that nobody writes makes no folder"
    assert run.look(resume=True) is False
    assert run.take(resume=True) is False
    run.status("running")
    status = run.read("status.json")
    assert (status["state"], status["name"], status["number"]) == ("running", "b", 3)
    assert (status["choices"], status["seed"]) == ({"peft.rank": "8"}, 0)
    assert (status["pid"], status["host"]) == (os.getpid(), socket.gethostname())
    assert (status["error"], status["traceback"]) == (None, None)
    assert (status["identity"], status["attempt"]) == ({"config": "a", "inputs": {}}, 1)
    assert abs(status["started"] + status["wall_s"] - time.time()) < 5


def test_states_follow_each_other(tmp_path: Path) -> None:
    run = record(tmp_path)
    run.take(resume=True)
    run.status("running")
    assert run.fail("ValueError: no", "Traceback ...")
    failed = run.read("status.json")
    assert [failed[key] for key in ("state", "error", "traceback")] == [
        "failed",
        "ValueError: no",
        "Traceback ...",
    ]
    run.release()
    again = record(tmp_path)
    assert again.look(resume=True) is False  # a failed run is retried ...
    assert again.take(resume=True) is False
    again.status("running")
    said = again.read("status.json")
    assert [said[key] for key in ("state", "error", "traceback", "attempt")] == ["running", None, None, 2]
    again.interrupt()
    assert again.read("status.json")["state"] == "interrupted"


@pytest.mark.parametrize("state", ["ok", "diverged"])
def test_a_finished_run_is_skipped_and_says_so(
    tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    left(tmp_path, state)
    before = files(tmp_path)
    assert record(tmp_path).look(resume=True) is True
    assert record(tmp_path).look(resume=False) is False
    assert files(tmp_path) == before
    assert f"{tmp_path}: finished before ({state}); resume=false runs it again" in capsys.readouterr().err


def test_a_run_is_finished_when_what_it_names_is_there_and_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, damage in enumerate(
        (
            Path.unlink,
            lambda path: path.write_bytes(b""),
            lambda path: path.write_text(path.read_text() + "x"),
        )
    ):
        folder = left(tmp_path / str(number))
        damage(folder / "config.yaml")
        assert record(folder).look(resume=True) is False
        said = capsys.readouterr().err
        assert said == f"{folder}: config.yaml is not as the run left it; it is made again\n"


@pytest.mark.parametrize("state", ["failed", "interrupted", "running", "", "nonsense"])
def test_every_other_state_runs_again(tmp_path: Path, state: str) -> None:
    left(tmp_path)
    status = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps({**status, "state": state}))
    assert record(tmp_path).look(resume=True) is False


@pytest.mark.parametrize(
    ("said", "until", "is_there"),
    [
        ({"state": "stopped", "epoch": 2}, None, False),
        ({"state": "stopped", "epoch": 2}, 1, True),
        ({"state": "stopped", "epoch": 2}, 2, True),
        ({"state": "stopped", "epoch": 2}, 3, False),
        ({"state": "stopped", "epoch": "2"}, 2, False),
        ({"state": "stopped"}, 2, False),
        ({"state": "interrupted", "epoch": 2}, 2, False),
    ],
)
def test_a_run_that_stopped_goes_on_unless_it_is_to_stop_there(
    tmp_path: Path, said: dict[str, Any], until: int | None, is_there: bool
) -> None:
    left(tmp_path)
    status = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "result.json").unlink()
    (tmp_path / "status.json").write_text(json.dumps({**status, **said}))
    assert record(tmp_path).look(resume=True, until=until) is is_there
    assert record(tmp_path).look(resume=False, until=until) is False


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"3", b'{"state": "ok"', b"\0\0", b"\xff\xfe{", b"[" * 3000]
)
def test_a_status_that_cannot_be_read_runs_again(tmp_path: Path, data: bytes) -> None:
    left(tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").write_text(
        json.dumps({**result, "identity": {"config": "a", "inputs": {}}})
    )  # where the identity stands then
    (tmp_path / "status.json").write_bytes(data)
    assert record(tmp_path).look(resume=True) is False


def test_one_folder_one_config(tmp_path: Path) -> None:
    for state in ("ok", "diverged"):
        folder = left(tmp_path / state, state)
        before = files(folder)
        other = record(folder, "another")
        for call in (other.look, other.take):
            with pytest.raises(UserError, match="holds the run of another config"):
                call(resume=True)
        assert not other.fail("it is another one")
        other.interrupt()
        other.discard()
        other.release()
        assert files(folder) == before
        assert other.take(resume=False) is False, "which is asked for in so many words"
        other.release()


def test_what_failed_before_it_had_anything_is_in_nobody_s_way(tmp_path: Path) -> None:
    assert record(tmp_path).fail("fit.clip_norm=0 is not legal")
    assert record(tmp_path, "mended").look(resume=True) is False


def test_a_live_run_is_refused_and_left_alone(tmp_path: Path, writer: Writer) -> None:
    """Neither by the refusal nor by what the command line does after it."""
    left(tmp_path, "interrupted")
    process = writer(tmp_path)
    before = files(tmp_path)
    run = record(tmp_path)
    who = f"{tmp_path} is being written by process {os.getpid()} on {socket.gethostname()}; wait for it or stop it"
    for resume in (True, False):
        for call in (run.look, run.take):
            with pytest.raises(UserError, match=who):
                call(resume=resume)
    for write in (lambda: run.status("ok"), lambda: run.append({"step": 1}), lambda: run.rewind(None)):
        with pytest.raises(UserError, match=who):
            write()
    assert not run.fail("it is being written")
    run.interrupt()
    run.discard()
    assert files(tmp_path) == before
    process.kill()
    process.wait()
    assert run.take(resume=True) is False


def test_a_run_that_another_one_finished_meanwhile_is_not_repeated(tmp_path: Path) -> None:
    """Between the look, the long build, and the first byte."""
    run = record(tmp_path)
    assert run.look(resume=True) is False
    left(tmp_path)
    before = files(tmp_path)
    assert run.take(resume=True) is True
    assert not run.fail("too late")
    assert files(tmp_path) == before


def test_an_interrupt_says_nothing_of_a_run_that_has_not_begun(tmp_path: Path) -> None:
    left(tmp_path)
    run = record(tmp_path)
    run.look(resume=True)
    run.interrupt()
    assert run.read("status.json")["state"] == "ok"


@pytest.mark.parametrize("state", ["running", "interrupted", "ok"])
def test_a_refusal_takes_no_state_from_a_run(tmp_path: Path, state: str) -> None:
    left(tmp_path, state)
    before = files(tmp_path)
    assert not record(tmp_path).fail("device=cuda: no such device")
    assert files(tmp_path) == before


def test_a_clock_that_is_set_back_takes_no_time_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    first = record(tmp_path)
    first.take(resume=True)
    first.status("running")
    monkeypatch.setattr(time, "time", lambda: now - 7200)
    first.append({"step": 1})
    first.interrupt()
    said = json.loads((tmp_path / "status.json").read_text())
    assert 0 <= said["wall_s"] < 60
    first.release()
    os.utime(tmp_path / "metrics.jsonl", (now - 7200, now - 7200))
    second = record(tmp_path)
    second.take(resume=True)
    assert 0 <= second.attempt.before_s <= second.wall_s < 60


def test_attempts_are_counted_and_their_seconds_added(tmp_path: Path) -> None:
    first = record(tmp_path)
    first._since -= 100
    first.take(resume=True)
    first.status("running")
    first.append({"step": 1})
    first.interrupt()
    first.release()
    second = record(tmp_path)
    second._since -= 10
    second.take(resume=True)
    assert second.attempt.number == 2
    assert 100 <= second.attempt.before_s < 105
    assert 110 <= second.wall_s < 115
    second.status("running")
    second.append({"step": 2})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == [{"step": 1, "attempt": 1}, {"step": 2, "attempt": 2}]
    later = (
        tmp_path / "status.json"
    ).stat().st_mtime + 50  # killed 50 s after it began, which nobody wrote down
    os.utime(tmp_path / "metrics.jsonl", (later, later))
    second.release()
    third = record(tmp_path)
    third.take(resume=True)
    assert third.attempt.number == 3
    assert 160 <= third.attempt.before_s < 165
    third.release()
    over = record(tmp_path)
    over.take(resume=False)
    assert over.attempt == Attempt(1, 0.0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_does_not_make_the_note_of_it_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = record(tmp_path)
    run.take(resume=True)
    run.status("running")

    def full(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=os.strerror(number)):
        run.write("result.json", {})
    assert not run.fail("no room")
    run.interrupt()
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_discard_leaves_no_trace_of_a_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run = record(tmp_path / "mine" / "outputs" / "run")
    run.made = missing(run.folder)
    run.folder.mkdir(parents=True)  # as Hydra does
    run.discard()
    assert (tmp_path / "mine").is_dir()
    assert list((tmp_path / "mine").iterdir()) == []


def test_discard_keeps_what_was_there_and_what_was_run(tmp_path: Path) -> None:
    there = record(tmp_path)
    there.made = missing(there.folder)
    there.discard()
    assert tmp_path.is_dir()
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
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": None, "attempt": 1}


def test_read_gives_an_empty_dict_for_what_is_absent(tmp_path: Path) -> None:
    assert record(tmp_path).read("nosuch.json") == {}


RACE = """
import sys, time
from pathlib import Path
from peftlab.errors import UserError
from peftlab.record.record import Record
run = Record(Path(sys.argv[1]), {}, {"seed": 0})
until = float(sys.argv[2])
while time.time() < until:
    pass
try:
    run.take(resume=True)
    run.status("running")
except UserError as error:
    print("refused", error)
else:
    time.sleep(1.5)
    print("wrote")
"""


def test_of_four_that_start_at_once_one_writes(tmp_path: Path) -> None:
    at = str(time.time() + 2)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path / "run"), at],
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        for _ in range(4)
    ]
    said = sorted(process.communicate()[0] for process in processes)
    assert [words.split()[0] for words in said] == ["refused"] * 3 + ["wrote"]
    assert all("is being written by" in words for words in said[:3])
