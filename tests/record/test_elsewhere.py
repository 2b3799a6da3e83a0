"""Two hosts and one folder, where the lock of one is not seen by the other."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from peftlab.errors import UserError
from peftlab.record import elsewhere
from peftlab.record.record import Record


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "WATCH_S", 0.5)
    monkeypatch.setattr(elsewhere, "EVERY_S", 0.01)
    monkeypatch.setattr(elsewhere, "_silent", set())


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A run of host a. Its lock is as if it were not there, and we are host b."""
    monkeypatch.setattr(socket, "gethostname", lambda: "a")
    record = Record(tmp_path / "run", {}, {"seed": 0})
    record.take(resume=True)
    record.status("running")
    record.release()
    monkeypatch.setattr(socket, "gethostname", lambda: "b")
    return record


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_who_still_writes_is_left_alone(theirs: Record, capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    row = json.dumps({"step": 1}) + "\n"

    def live() -> None:
        while not stop.wait(0.02):
            with (theirs.folder / "metrics.jsonl").open("a") as file:
                file.write(row)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        ours = Record(theirs.folder, {}, {"seed": 0})
        for resume in (True, False):
            with pytest.raises(
                UserError, match=f"is being written by process {os.getpid()} on a; wait for it or stop it"
            ):
                ours.take(resume)
        assert "wrote here a moment ago; is it there still? 0.5 s" in capsys.readouterr().err
    finally:
        stop.set()
        thread.join()
    assert set(files(theirs.folder)) == {"status.json", "metrics.jsonl"}
    assert set(files(theirs.folder)["metrics.jsonl"].decode().split("\n")) == {row.strip(), ""}


def test_one_that_was_killed_is_gone_on_from_and_its_other_runs_are_not_watched(
    theirs: Record, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "status.json").write_bytes((theirs.folder / "status.json").read_bytes())
    began = time.monotonic()
    assert not Record(theirs.folder, {}, {"seed": 0}).take(resume=True)
    assert time.monotonic() - began >= 0.5
    began = time.monotonic()
    assert not Record(other, {}, {"seed": 0}).take(resume=True)
    assert time.monotonic() - began < 0.4


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_who_said_goodbye_is_not_watched(theirs: Record, state: str) -> None:
    said = json.loads((theirs.folder / "status.json").read_text())
    (theirs.folder / "status.json").write_text(json.dumps({**said, "state": state}))
    assert not elsewhere.writes_elsewhere(theirs.folder)
    assert not elsewhere._silent


def test_nor_who_is_silent_for_long_or_of_this_host(theirs: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    path = theirs.folder / "status.json"
    then = path.stat().st_mtime - 61
    os.utime(path, (then, then))
    assert not elsewhere.writes_elsewhere(theirs.folder)
    os.utime(path)
    monkeypatch.setattr(socket, "gethostname", lambda: "a")
    assert not elsewhere.writes_elsewhere(theirs.folder)
    assert not elsewhere._silent


def test_a_clock_that_is_behind_does_not_hide_it(theirs: Record) -> None:
    """Its word then comes from the future."""
    path = theirs.folder / "status.json"
    then = path.stat().st_mtime + 7200
    os.utime(path, (then, then))
    began = time.monotonic()
    assert not elsewhere.writes_elsewhere(theirs.folder)
    assert time.monotonic() - began >= 0.5, "it is looked at"
