"""What trackio is told, read back from its file; and what happens when it fails."""

import json
import math
import socket
import sqlite3
import subprocess
import sys
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from peftlab.tracker.tracker import MAX_ROWS, Opening, Safe
from peftlab.tracker.trackio import TrackioTracker

ID = "a1b2c3d4e5f60718"
START = {"run_id": ID, "name": "q_0-2_s0", "group": None, "kind": "run", "tags": (), "config": {}}
pytestmark = pytest.mark.usefixtures("trackio_home")


def start(folder: Path, **changes) -> Safe:
    """As a run starts it, with the options of the YAML."""
    tracker = Safe(partial(TrackioTracker, project="lab", folder=str(folder / "trackio")), "trackio")
    tracker.start(Opening(**{**START, "folder": folder / "run", **changes}))
    return tracker


def one_line(capfd) -> str:
    """The only line that was said."""
    said = capfd.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("warning: trackio: ")
    return line


def test_a_run_read_back(tmp_path, read_trackio, capfd):
    picture, page = tmp_path / "gamma.png", tmp_path / "index.html"
    Image.new("RGB", (3, 2)).save(picture)
    page.write_text("<!doctype html><title>Größe</title>\n")
    config = {"peft": "lora", "rank": 8, "depth": None, "config": {"peft": {"rank": 8, "at": ["q", 3]}}}
    rows = [["cat", 3, 0.5], ["dog", 0, None], ["\udcff", "none", math.nan]]
    tracker = start(tmp_path, group="grid", tags=("peft=lora",), config=config)
    for step in (0, 5, 3):  # 3: resumed from an older state
        tracker.log({"train/loss": 1 / (1 + step), "epoch": step / 5, "train/lr": math.nan}, step=step)
    tracker.table("test/per_class", ["class", "num", "acc"], rows, step=5)
    tracker.image("gamma_map", nullcontext(picture), step=5)
    tracker.page("sweep/page", page, step=5)
    picture.unlink()  # it has a copy
    tracker.finish({"test/tail_acc": 0.25, "state": "ok"}, exit_code=3)

    assert capfd.readouterr() == ("", "")
    ((name, run),) = read_trackio(tmp_path / "trackio").items()
    assert name == "q_0-2_s0-a1b2c3d4"
    assert run.config.items() >= config.items()
    assert run.config["_Group"] == "grid"
    assert (run.config["run_id"], run.config["kind"], run.config["tags"]) == (ID, "run", ["peft=lora"])
    scalars = [(step, row["train/loss"], row["epoch"]) for step, row in run.rows if "train/loss" in row]
    assert scalars == [(0, 1.0, 0.0), (5, 1 / 6, 1.0), (3, 0.25, 0.6)]
    logged = {key: (step, value) for step, row in run.rows for key, value in row.items()}
    step, table = logged["test/per_class"]
    assert (step, table["_value"][:2]) == (
        5,
        [{"class": "cat", "num": 3, "acc": 0.5}, {"class": "dog", "num": 0, "acc": None}],
    )
    assert table["_value"][2]["class"] == "\\udcff"
    with Image.open(run.media / logged["gamma_map"][1]["file_path"]) as copy:
        assert copy.size == (3, 2)
    assert (
        run.media / logged["sweep/page"][1]["file_path"]
    ).read_text() == "<!doctype html><title>Größe</title>\n"
    assert run.rows[-1][1]["summary"]["_value"] == [
        {"key": "test/tail_acc", "value": 0.25},
        {"key": "state", "value": "ok"},
        {"key": "exit_code", "value": 3},
    ]
    assert not (tmp_path / "run").exists(), "all runs of a project are in one file"


def test_runs_that_are_open_at_once_do_not_end_each_other(tmp_path, read_trackio):
    trackers = [start(tmp_path, run_id=f"{number}{ID[1:]}") for number in range(3)]
    for step in range(3):
        for number, tracker in enumerate(trackers):
            tracker.log({"train/loss": float(number + step)}, step=step)
    for tracker in trackers:
        tracker.finish({}, exit_code=0)
    runs = read_trackio(tmp_path / "trackio")
    assert [[row["train/loss"] for _, row in run.rows[:-1]] for run in runs.values()] == [
        [number, number + 1, number + 2] for number in range(3)
    ]


def test_who_opens_an_id_again_goes_on_with_it_and_another_is_another_run(tmp_path, read_trackio):
    for step, run_id in enumerate([ID, ID, "b" * 16]):
        tracker = start(tmp_path, run_id=run_id)
        tracker.log({"train/loss": 1.0}, step=step)
        tracker.finish({"state": "ok"}, exit_code=0)
    runs = read_trackio(tmp_path / "trackio")
    found = {name: [step for step, row in run.rows if "train/loss" in row] for name, run in runs.items()}
    assert found == {"q_0-2_s0-a1b2c3d4": [0, 1], "q_0-2_s0-bbbbbbbb": [2]}
    with sqlite3.connect(tmp_path / "trackio" / "lab.db") as base:
        ids = base.execute("SELECT DISTINCT run_id FROM metrics ORDER BY run_id").fetchall()
    base.close()
    assert ids == [(ID,), ("b" * 16,)]


def test_on_a_disk_of_a_network_it_is_the_same_run_too(tmp_path, monkeypatch, capfd):
    """There trackio writes files that its dashboard reads in later, and knows of no earlier run."""
    monkeypatch.setenv("TRACKIO_STORAGE_MODE", "jsonl")
    for step in range(2):
        tracker = start(tmp_path)
        tracker.log({"train/loss": 1.0}, step=step)
        tracker.finish({"state": "ok"}, exit_code=0)
    assert capfd.readouterr() == ("", "")
    files = (tmp_path / "trackio" / "inbox").rglob("*.jsonl")
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert [(row["run_id"], row["run"]) for row in rows] == [(ID, "q_0-2_s0-a1b2c3d4")] * 4


def test_odd_names_and_huge_tables(tmp_path, read_trackio, capfd):
    odd = ["\udcff\udc80", "\x00\x1b[31m", "[bold]{x}</script>", "名前", "x" * 500, "", " a "]
    tracker = start(
        tmp_path, name="名" * 100, group=odd[0], tags=tuple(odd), config={name: [name] for name in odd}
    )
    tracker.table("t", odd[:2], [[name, 1] for name in odd] * 5000, step=1)
    picture = tmp_path / "gamma.png"
    Image.new("RGB", (3, 2)).save(picture)
    tracker.image("i", nullcontext(picture), step=1)
    tracker.finish({}, exit_code=0)
    assert capfd.readouterr() == ("", "")
    ((name, run),) = read_trackio(tmp_path / "trackio").items()
    assert name.startswith("名名")
    assert run.config["_Group"] == "\\udcff\\udc80"
    assert run.config["名前"] == ["名前"]
    assert len(run.rows[0][1]["t"]["_value"]) == MAX_ROWS
    assert (run.media / run.rows[1][1]["i"]["file_path"]).is_file()


def test_the_variable_comes_before_the_option(tmp_path, monkeypatch, read_trackio):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "mine"))
    start(tmp_path).finish({}, exit_code=0)
    assert len(read_trackio(tmp_path / "mine")) == 1
    assert not (tmp_path / "trackio").exists()


def test_a_process_writes_to_one_folder(tmp_path, read_trackio, capfd):
    start(tmp_path).finish({}, exit_code=0)
    other = start(tmp_path / "other")
    other.log({"train/loss": 1.0}, step=1)
    other.finish({}, exit_code=0)
    line = one_line(capfd)
    assert f"this process writes to {tmp_path / 'trackio'} already" in line
    assert "the run goes on without it" in line
    assert len(read_trackio(tmp_path / "trackio")) == 1


def test_nothing_leaves_the_machine(tmp_path, monkeypatch, read_trackio, capfd):
    """Not for an account of the hub that is logged in here, nor for variables that name another machine."""
    asked = []

    def refuse(*values, **keywords):
        asked.append(values)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HF_TOKEN", "hf_" + 34 * "a")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/dashboard")
    tracker = start(tmp_path)
    tracker.log({"train/loss": 1.0}, step=1)
    tracker.finish({}, exit_code=0)
    assert asked == []
    assert capfd.readouterr() == ("", "")
    assert len(read_trackio(tmp_path / "trackio")) == 1
    from huggingface_hub import constants, whoami

    assert not constants.HF_HUB_OFFLINE, "as before"
    with suppress(Exception):
        whoami(token="hf_" + 34 * "b")
    assert asked, "the test sees who asks"


def test_a_folder_that_cannot_be_made(tmp_path, capfd):
    (tmp_path / "trackio").write_text("a file")
    tracker = start(tmp_path)
    tracker.log({"train/loss": 1.0}, step=1)
    tracker.finish({}, exit_code=0)
    line = one_line(capfd)
    assert "start: FileExistsError" in line
    assert line.endswith("the run goes on without it")


def test_a_package_that_is_not_installed(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "trackio", None)
    tracker = start(tmp_path)
    tracker.log({"train/loss": 1.0}, step=1)
    tracker.finish({}, exit_code=0)
    line = one_line(capfd)
    assert 'pip install "peftlab[trackio]"' in line
    assert line.endswith("the run goes on without it")


def test_a_file_that_cannot_be_written_any_more(tmp_path, monkeypatch, capfd):
    """Its thread finds it out, and says it once."""
    tracker = start(tmp_path)
    from trackio.sqlite_storage import SQLiteStorage

    def full(**keywords):
        raise sqlite3.OperationalError("database or disk\nis full")

    monkeypatch.setattr(SQLiteStorage, "bulk_log", full)
    for step in range(3):
        tracker.log({"train/loss": 1.0}, step=step)
    tracker.finish({"state": "ok"}, exit_code=0)
    line = one_line(capfd)
    assert "database or disk is full" in line
    assert line.endswith("the run goes on")


@pytest.mark.parametrize("call", ["image", "page"])
def test_a_file_that_is_gone_is_told_and_the_rest_arrives(tmp_path, read_trackio, capfd, call):
    tracker = start(tmp_path)
    gone = tmp_path / "gone.png"
    getattr(tracker, call)("x", nullcontext(gone) if call == "image" else gone, step=1)
    tracker.log({"train/loss": 1.0}, step=2)
    tracker.finish({}, exit_code=0)
    line = one_line(capfd)
    assert f"{call}: " in line
    assert "gone.png" in line
    (run,) = read_trackio(tmp_path / "trackio").values()
    assert [step for step, row in run.rows if "train/loss" in row] == [2]


def test_what_trackio_only_warns_of_is_a_failure(tmp_path, capfd):
    tracker = start(tmp_path)
    tracker._tracker._trackio.Image._save_media = full_disk  # type: ignore[union-attr]
    picture = tmp_path / "gamma.png"
    Image.new("RGB", (3, 2)).save(picture)
    tracker.image("x", nullcontext(picture), step=1)
    tracker.finish({}, exit_code=0)
    assert "image: RuntimeError: trackio.log() skipped metric 'x': [Errno 28]" in one_line(capfd)


def full_disk(self, path):
    raise OSError(28, "No space left on device")


def test_it_is_imported_by_start_only():
    code = "import sys, peftlab.tracker.trackio; assert not {'trackio', 'huggingface_hub', 'torch'} & set(sys.modules)"
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": root})
