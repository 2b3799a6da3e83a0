"""What W&B is told, read back from the file it writes; and what happens when W&B fails."""

import json
import math
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from peftlab.tracker.wandb import WandbTracker

KEY = "local" + 35 * "0"
DEFAULTS = {"project": "lab", "entity": None, "mode": None, "tags": [], "init_timeout_s": 5.0, "finish_timeout_s": 5.0}


def make(**changes) -> WandbTracker:
    return WandbTracker(**{**DEFAULTS, **changes})


def start(tracker: WandbTracker, folder: Path, **changes) -> WandbTracker:
    arguments = {"run_id": "a1b2", "name": "q 0-2 seed 0", "group": None, "tags": [], "config": {}, "folder": folder}
    tracker.start(**{**arguments, **changes})
    return tracker


def use(tracker: WandbTracker, folder: Path) -> None:
    """Every call after `start`, once."""
    tracker.log({"train/loss": 2.5}, step=1)
    tracker.table("test/per_class", ["class"], [["a"]])
    tracker.image("gamma", folder / "gamma.png")
    tracker.finish({"test/tail_acc": 0.5}, exit_code=0)


def one_line(capfd) -> str:
    """The one line on stderr; wandb's own "Loaded credentials" aside."""
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("wandb: ")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("warning: wandb: ")
    return lines[0]


def test_offline_run_read_back(real_wandb, monkeypatch, tmp_path, read_run, capfd):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", KEY)  # WANDB_MODE comes first
    monkeypatch.chdir(tmp_path)
    folder, config = tmp_path / "run", {"peft": {"rank": 8, "alpha": None}, "depth": ["0-2", 3], "lr": 0.01}
    Image.new("RGB", (3, 2)).save(tmp_path / "gamma.png")
    tracker = make(entity="team", tags=["paper", "x" * 80])

    start(tracker, folder, group="grid", tags=["paper", "lora"], config=config)
    for step in (0, 5, 3):  # back to 3: a run resumed from an older checkpoint
        tracker.log({"train/loss": 1.0 / (1 + step), "train/lr": math.nan}, step=step)
    tracker.table("test/per_class", ["class", "n", "acc"], [["cat", 3, 0.5], ["dog", 0, None], ["eel", 1, math.nan]])
    tracker.image("gamma/map", tmp_path / "gamma.png")
    tracker.finish({"test/tail_acc": 0.25, "steps": 5, "state": "ok"}, exit_code=3)

    assert capfd.readouterr().err == ""
    read = read_run(folder)
    assert (read.run.run_id, read.run.display_name, read.run.run_group) == ("a1b2", "q 0-2 seed 0", "grid")
    assert (read.run.project, read.run.entity) == ("lab", "team")
    assert list(read.run.tags) == ["paper", "x" * 64, "lora"]
    assert {key: read.config[key] for key in config} == config

    rows = [row for row in read.history if "train/loss" in row]
    assert [(row["step"], row["train/loss"]) for row in rows] == [(0, 1.0), (5, 1 / 6), (3, 0.25)]
    assert all(math.isnan(float(row["train/lr"])) for row in rows)
    assert [(metric.glob_name, metric.step_metric) for metric in read.metrics if metric.glob_name] == [("*", "step")]

    (table,) = [row for row in read.history if "test/per_class.path" in row]
    written = json.loads((read.files / "files" / table["test/per_class.path"]).read_text())
    assert written["columns"] == ["class", "n", "acc"]
    assert written["data"][:2] == [["cat", 3, 0.5], ["dog", 0, None]]
    (image,) = [row for row in read.history if "gamma/map.path" in row]
    assert (image["gamma/map.width"], image["gamma/map.height"]) == (3, 2)
    with Image.open(read.files / "files" / image["gamma/map.path"]) as picture:
        assert picture.size == (3, 2)

    final = {"test/tail_acc": 0.25, "steps": 5, "state": "ok"}
    assert {key: read.summary[key] for key in final} == final
    assert read.exit_code == 3
    assert {path.name for path in tmp_path.iterdir()} == {"run", "home", "gamma.png"}


def test_runs_open_side_by_side_do_not_mix(real_wandb, tmp_path, read_run):
    trackers = {name: start(make(mode="offline"), tmp_path / name, run_id=f"id-{name}") for name in "ab"}
    for step in range(3):
        for name, tracker in trackers.items():
            tracker.log({"loss": step + 100.0 * (name == "b")}, step=step)
    for code, tracker in enumerate(trackers.values()):
        tracker.finish({}, exit_code=code)
    for name, first, code in (("a", 0.0, 0), ("b", 100.0, 1)):
        read = read_run(tmp_path / name)
        assert [row["loss"] for row in read.history] == [first, first + 1, first + 2]
        assert (read.run.run_id, read.exit_code) == (f"id-{name}", code)


def test_sweep_agent_gives_the_run_its_id(real_wandb, monkeypatch, tmp_path, read_run, capfd):
    agent = {"SWEEP_ID": "sweep1", "RUN_ID": "agent1", "PROJECT": "agents", "ENTITY": "team", "MODE": "offline"}
    for name, value in agent.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    start(make(project="mine"), tmp_path).finish({}, exit_code=0)
    run = read_run(tmp_path).run
    assert (run.run_id, run.sweep_id, run.project, run.entity) == ("agent1", "sweep1", "agents", "team")
    assert capfd.readouterr().err == ""


def test_server_that_refuses_becomes_offline_within_seconds(real_wandb, monkeypatch, tmp_path, read_run, capfd):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    began = time.monotonic()
    tracker = start(make(), tmp_path)  # mode null, with a login: online
    tracker.log({"loss": 1.0}, step=4)
    tracker.finish({}, exit_code=0)
    assert time.monotonic() - began < 15
    line = one_line(capfd)
    assert "online: CommError" in line
    assert "recorded offline in" in line
    read = read_run(tmp_path)
    assert read.run.run_id == "a1b2-offline"
    assert [(row["step"], row["loss"]) for row in read.history] == [(4, 1.0)]


def test_online_without_a_login_becomes_offline(real_wandb, tmp_path, read_run, capfd):
    start(make(mode="online"), tmp_path).finish({}, exit_code=0)
    assert "no login" in one_line(capfd)
    assert read_run(tmp_path).run.run_id == "a1b2"


def test_killed_wandb_core_does_not_end_the_run(real_wandb, tmp_path, list_cores, capfd):
    tracker = start(make(mode="offline"), tmp_path)
    for core in list_cores():
        core.kill()
        core.wait(5)
    for step in range(200):  # the pipe fills before the loss is noticed
        tracker.log({"loss": 1.0}, step=step)
    use(tracker, tmp_path)
    assert "the run goes on without it" in one_line(capfd)


def test_no_prompt_on_a_terminal(clean_env, tmp_path):
    """Even where our own look at the login is wrong, wandb does not ask for a key."""
    code = f"""
import peftlab.tracker.wandb as module
module.has_login = lambda: True
tracker = module.WandbTracker(**{ {**DEFAULTS, "mode": "online"} !r})
tracker.start(run_id="a", name="b", group=None, tags=[], config={{}}, folder=module.Path({str(tmp_path)!r}))
tracker.finish({{}}, exit_code=0)
"""
    master, terminal = pty.openpty()
    try:
        command = [sys.executable, "-c", code]
        subprocess.run(command, stdin=terminal, stdout=terminal, stderr=terminal, timeout=60, check=True)
        text = os.read(master, 65536).decode()
    finally:
        os.close(master)
        os.close(terminal)
    assert "UsageError" in text
    assert "recorded offline" in text
    assert "choice" not in text


@pytest.mark.parametrize(
    ("argument", "variable", "login", "expected"),
    [
        (None, None, False, ["offline"]),
        (None, None, True, ["online"]),
        (None, "offline", True, ["offline"]),
        (None, "disabled", True, ["disabled"]),
        ("offline", "online", True, ["offline"]),
        ("disabled", "offline", False, ["disabled"]),
        ("online", "disabled", True, ["online"]),
        ("online", None, False, ["offline"]),
        (None, "online", False, ["offline"]),
    ],
)
def test_mode(fake_wandb, monkeypatch, tmp_path, argument, variable, login, expected):
    if variable:
        monkeypatch.setenv("WANDB_MODE", variable)
    if login:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
    start(make(mode=argument), tmp_path)
    assert [call["mode"] for call in fake_wandb.named("init")] == expected


def test_waiting_is_bounded_and_the_run_is_its_own(fake_wandb, tmp_path):
    start(make(init_timeout_s=7.0, finish_timeout_s=9.0), tmp_path / "new")
    (call,) = fake_wandb.named("init")
    assert (call["settings"].init_timeout, call["settings"].finish_timeout) == (7.0, 9.0)
    assert (call["id"], call["resume"], call["reinit"]) == ("a1b2", "allow", "create_new")
    assert Path(call["dir"]).is_dir()


def test_init_that_fails_in_every_mode(fake_wandb, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    fake_wandb.trouble["init"] = RuntimeError("no such\nproject")
    use(start(make(), tmp_path), tmp_path)
    line = one_line(capfd)
    assert line.count("RuntimeError: no such project") == 2
    assert [(call["mode"], call["id"]) for call in fake_wandb.named("init")] == [
        ("online", "a1b2"),
        ("offline", "a1b2-offline"),
    ]
    assert not fake_wandb.named("log")


def test_wandb_that_cannot_be_imported(clean_env, monkeypatch, tmp_path, capfd):
    monkeypatch.setitem(sys.modules, "wandb", None)
    use(start(make(), tmp_path), tmp_path)
    assert "the run goes on without it" in one_line(capfd)


@pytest.mark.parametrize("call", ["log", "Table", "Image", "summary", "finish"])
def test_call_that_fails_is_told_once(fake_wandb, tmp_path, capfd, call):
    tracker = start(make(), tmp_path)
    fake_wandb.trouble[call] = ConnectionResetError("Connection lost")
    tracker.log({"a": 1.0}, step=0)
    use(tracker, tmp_path)
    assert "ConnectionResetError: Connection lost" in one_line(capfd)
    assert [keywords["exit_code"] for keywords in fake_wandb.named("finish")] == [0]  # one bad value loses no more


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", ["init", "log", "summary", "finish"])
def test_interrupts_pass_through(fake_wandb, tmp_path, call, interrupt):
    fake_wandb.trouble[call] = interrupt()
    with pytest.raises(interrupt):
        use(start(make(), tmp_path), tmp_path)


def test_calls_without_a_start_do_nothing(fake_wandb, tmp_path):
    use(make(), tmp_path)
    assert fake_wandb.calls == []


def test_wandb_is_imported_by_start_only(tmp_path):
    code = "import sys, peftlab.tracker.wandb as w; w.WandbTracker(**{}); assert 'wandb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code.format(DEFAULTS)], check=True, timeout=60)
