"""What W&B is told, read back from the file it writes; and what happens when W&B fails."""

import json
import math
import os
import pty
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image

from peftlab.tracker.tracker import Opening, Safe
from peftlab.tracker.wandb import MAX_ROWS, WandbTracker

KEY = "local" + 35 * "0"
TIMEOUTS = {"init_timeout_s": 5.0, "finish_timeout_s": 5.0}
DEFAULTS = {"project": "lab", "entity": None, "mode": None, "tags": [], **TIMEOUTS}
START = {"run_id": "a1b2", "name": "q 0-2 seed 0", "group": None, "kind": "run", "tags": (), "config": {}}
HTML = "<!doctype html><html><head><title>Größe</title></head><body><script>1 < 2</script></body></html>\n"
FINISH = ("t", "finish", {"summary": {}, "exit_code": 0})


def begin(folder: Path, name: str = "t", **changes) -> list:
    """The first two calls of a driven tracker."""
    new = {key: changes.pop(key, value) for key, value in DEFAULTS.items()}
    return [(name, "new", new), (name, "start", {**START, "folder": str(folder), **changes})]


def log(step: int, name: str = "t", **scalars: float) -> tuple:
    return (name, "log", {"scalars": scalars, "step": step})


def one_line(text: str) -> str:
    """The tracker's one line on stderr; what wandb itself says is not ours to change."""
    (line,) = (line for line in text.splitlines() if line.startswith("warning: wandb: "))
    return line


def test_offline_run_read_back(drive, tmp_path, read_run):
    folder, picture, page = tmp_path / "run", tmp_path / "gamma.png", tmp_path / "index.html"
    config = {"peft": {"rank": 8, "alpha": None}, "depth": ["0-2", 3], "lr": 0.01}
    final = {"test/tail_acc": 0.25, "steps": 5, "state": "ok"}
    rows = [["cat", 3, 0.5], ["dog", 0, None], ["eel", "none", math.nan]]
    series = [("step", None), ("*", "step"), ("val/*", "epoch"), ("val/acc", "epoch", ["max", "last"])]
    Image.new("RGB", (3, 2)).save(picture)
    page.write_text(HTML)
    calls = begin(folder, entity="team", group="grid", config=config, series=series, tags=["q"])
    calls += begin(tmp_path / "other", "o", run_id="neighbour", mode="offline")  # open at the same time
    for step in (0, 5, 3):  # 3: resumed from an older state
        calls += [log(step, loss=1 / (1 + step), lr=math.nan), log(step, "o", loss=step + 100)]
    calls += [log(3 + epoch, **{"epoch": epoch, "val/acc": acc}) for epoch, acc in ((1, 0.75), (2, 0.5))]
    calls += [
        ("t", "table", {"name": "per_class", "columns": ["class", "n", "acc"], "rows": rows, "step": 5})
    ]
    calls += [("t", "image", {"name": "gamma_map", "path": str(picture), "step": 5})]
    calls += [("t", "page", {"name": "sweep/page", "path": str(page), "step": 5})]
    calls += [("t", "finish", {"summary": final, "exit_code": 3}), ("o", *FINISH[1:])]

    assert drive(calls, WANDB_MODE="offline", WANDB_API_KEY=KEY) == ""  # WANDB_MODE comes before the login

    read = read_run(folder)
    assert (read.run.run_id, read.run.display_name, read.run.run_group) == ("a1b2", "q 0-2 seed 0", "grid")
    assert (read.run.project, read.run.entity, read.exit_code) == ("lab", "team", 3)
    assert (read.run.job_type, list(read.run.tags)) == ("run", ["q"])
    assert {key: read.config[key] for key in config} == config
    assert {key: read.summary[key] for key in final} == final

    scalars = [row for row in read.history if "loss" in row]
    assert [(row["step"], row["loss"]) for row in scalars] == [(0, 1.0), (5, 1 / 6), (3, 0.25)]
    assert all(math.isnan(float(row["lr"])) for row in scalars)
    assert read.metrics == {
        "step": (None,),
        "*": ("step",),
        "val/*": ("epoch",),
        "val/acc": ("epoch", "last", "max"),
    }
    assert read.summary["val/acc"] == {"max": 0.75, "last": 0.5}

    (table,) = [row for row in read.history if "per_class.path" in row]
    written = json.loads((read.files / table["per_class.path"]).read_text())
    assert written["columns"] == ["class", "n", "acc"]
    assert written["data"][:2] == rows[:2]
    assert (table["step"], written["data"][2][:2]) == (5, ["eel", "none"])
    (image,) = [row for row in read.history if "gamma_map.path" in row]
    with Image.open(read.files / image["gamma_map.path"]) as copy:
        assert copy.size == (3, 2)
    (row,) = [row for row in read.history if "sweep/page.path" in row]
    assert (read.files / row["sweep/page.path"]).read_text() == HTML, "nothing is put into it"

    other = read_run(tmp_path / "other")
    assert [row["loss"] for row in other.history] == [100, 105, 103]
    assert (other.run.run_id, other.exit_code) == ("neighbour", 0)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "other", "home", "gamma.png", "index.html"}


def test_tags_are_cut_to_what_wandb_takes(fake_wandb, tmp_path):
    start(make(tags=["paper", "x" * 80]), tmp_path, tags=("lora", "paper", ""))
    assert fake_wandb.named("init")[0]["tags"] == ["paper", "x" * 64, "lora"]


def test_sweep_agent_gives_the_run_its_id(drive, tmp_path, read_run):
    agent = {"SWEEP_ID": "sweep1", "RUN_ID": "agent1", "PROJECT": "agents", "ENTITY": "team"}
    calls = [*begin(tmp_path, project="mine", mode="offline"), FINISH]
    assert drive(calls, **{f"WANDB_{name}": value for name, value in agent.items()}) == ""
    run = read_run(tmp_path).run
    assert (run.run_id, run.sweep_id, run.project, run.entity) == ("agent1", "sweep1", "agents", "team")


NO_HOME = [("", "no user", {})]


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "", "/dev/null/x", "/proc/no such"])
def test_no_home_does_not_end_the_run(drive, tmp_path, read_run, home):
    """Neither $HOME nor an entry of the user database names one, or it is no folder."""
    calls = [*NO_HOME, *begin(tmp_path / "run"), log(4, loss=1.0), table(), FINISH]
    assert drive(calls, HOME=home) == ""
    assert [row["step"] for row in read_run(tmp_path / "run").history] == [4, 4]


def table(**changes) -> tuple:
    return ("t", "table", {"name": "t", "columns": ["class"], "rows": [["a"]], "step": 4, **changes})


@pytest.mark.slow
def test_odd_names_and_huge_tables(drive, tmp_path, read_run):
    """Bytes that are no UTF-8, control characters, markup, very long words; more rows than anybody looks at."""
    odd = ["\udcff\udc80", "\x00\x1b[31m", "[bold]{x}</script>", "名前", "x" * 500, "", " a "]
    config = {name: {name: [name]} for name in odd}
    rows = [[name, number] for number in range(30_000) for name in odd[:1]]
    begun = begin(tmp_path, name="t", tags=odd, config=config, group=odd[0])
    calls = [
        *begun,
        table(columns=odd[:2], rows=rows),
        log(4, loss=1.0, **dict.fromkeys(odd[1:4], 2.0)),
        FINISH,
    ]
    assert drive(calls) == ""
    read = read_run(tmp_path)
    assert read.run.run_group == "\\udcff\\udc80"
    assert list(read.run.tags) == ["\\udcff\\udc80", "\\0\x1b[31m", odd[2], odd[3], "x" * 64, "a"]
    assert read.config["名前"] == {"名前": ["名前"]}
    assert read.history[0]["t.nrows"] == MAX_ROWS
    assert read.history[1]["名前"] == 2.0


@pytest.mark.slow
def test_server_that_is_not_there_becomes_offline_in_seconds(drive, tmp_path, read_run):
    began = time.monotonic()
    calls = [*begin(tmp_path), log(4, loss=1.0), FINISH]  # mode null, with a login: online
    line = one_line(drive(calls, WANDB_API_KEY=KEY, WANDB_BASE_URL="http://127.0.0.1:9"))  # nobody there
    assert time.monotonic() - began < 30
    assert "online: CommError" in line
    assert "recorded offline in" in line
    read = read_run(tmp_path)
    assert read.run.run_id == "a1b2-offline"
    assert [(row["step"], row["loss"]) for row in read.history] == [(4, 1.0)]


def test_killed_wandb_core_does_not_end_the_run(drive, tmp_path):
    calls = [*begin(tmp_path, mode="offline"), log(0, loss=1.0), ("t", "kill wandb-core", {})]
    calls += [log(step, loss=1.0) for step in range(1, 200)]  # the pipe fills before the loss is noticed
    assert "the run goes on without it" in one_line(drive([*calls, FINISH]))


def test_no_prompt_on_a_terminal(drive, tmp_path, read_run):
    """A login of another server (seen by us, refused by wandb) must not make wandb ask for a key."""
    (drive.home / ".config" / "wandb").mkdir(parents=True)
    (drive.home / ".config" / "wandb" / "settings").write_text("[default]\nbase_url = http://one.example\n")
    (drive.home / ".netrc").write_text("machine one.example\n  login user\n  password " + KEY + "\n")
    (drive.home / "wandb").mkdir()
    (drive.home / "wandb" / "settings").write_text("[default]\nbase_url = http://other.example\n")
    master, terminal = pty.openpty()
    try:
        drive([*begin(tmp_path), FINISH], terminal=terminal, TERM="xterm")
        text = os.read(master, 65536).decode()
    finally:
        os.close(master)
        os.close(terminal)
    assert "choice" not in text
    assert "UsageError" in one_line(text)
    assert read_run(tmp_path).exit_code == 0


def make(**changes) -> WandbTracker:
    return WandbTracker(**{**DEFAULTS, **changes})


def start(tracker: WandbTracker, folder: Path, **changes) -> Safe:
    """As a run starts it."""
    safe = Safe(lambda: tracker, "wandb")
    safe.start(Opening(**{**START, "folder": folder, **changes}))
    return safe


def use(tracker: Safe, folder: Path) -> None:
    """Every call after `start`, once."""
    tracker.log({"train/loss": 2.5}, step=1)
    tracker.table("test/per_class", ["class"], [["a"]], step=1)
    tracker.image("gamma", nullcontext(folder / "gamma.png"), step=1)
    tracker.page("sweep/page", folder / "index.html", step=1)
    tracker.finish({"test/tail_acc": 0.5}, exit_code=0)


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


def test_online_without_a_login_becomes_offline(fake_wandb, tmp_path, capfd):
    start(make(mode="online"), tmp_path)
    assert [(call["mode"], call["id"]) for call in fake_wandb.named("init")] == [("offline", "a1b2")]
    line = one_line(capfd.readouterr().err)
    assert "online: no login" in line
    assert "recorded offline in /run/files" in line


def test_waiting_is_bounded_and_the_run_is_its_own(fake_wandb, tmp_path):
    start(make(init_timeout_s=7.0, finish_timeout_s=9.0), tmp_path / "new")
    (call,) = fake_wandb.named("init")
    assert (call["settings"].init_timeout, call["settings"].finish_timeout) == (7.0, 9.0)
    assert (call["id"], call["resume"], call["reinit"]) == ("a1b2", "allow", "create_new")
    assert Path(call["dir"]).is_dir()


def test_sweep_agent_is_not_contradicted(fake_wandb, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    start(make(), tmp_path, group="grid")
    (call,) = fake_wandb.named("init")
    assert not {"id", "resume", "project", "entity"} & set(call)
    assert call["group"] == "grid"


def test_what_is_no_run_of_the_sweep_keeps_its_own_id(fake_wandb, monkeypatch, tmp_path):
    """The first stage of placement=noah, below an agent: two runs must not write to one."""
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    start(make(), tmp_path, kind="supernet")
    (call,) = fake_wandb.named("init")
    assert (call["id"], call["resume"]) == ("a1b2", "allow")
    assert not {"project", "entity"} & set(call)


def test_init_that_fails_in_every_mode(fake_wandb, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    fake_wandb.trouble["init"] = RuntimeError("no such\nproject")
    use(start(make(), tmp_path), tmp_path)
    line = one_line(capfd.readouterr().err)
    assert line.count("RuntimeError: no such project") == 2
    assert [(call["mode"], call["id"]) for call in fake_wandb.named("init")] == [
        ("online", "a1b2"),
        ("offline", "a1b2-offline"),
    ]
    assert not fake_wandb.named("log")


def test_wandb_that_cannot_be_imported(clean_env, monkeypatch, tmp_path, capfd):
    monkeypatch.setitem(sys.modules, "wandb", None)
    use(start(make(), tmp_path), tmp_path)
    assert "the run goes on without it" in one_line(capfd.readouterr().err)


@pytest.mark.parametrize("call", ["log", "Table", "Image", "Html", "summary", "finish"])
def test_call_that_fails_is_told_once(fake_wandb, tmp_path, capfd, call):
    tracker = start(make(), tmp_path)
    fake_wandb.trouble[call] = ConnectionResetError("Connection lost")
    tracker.log({"a": 1.0}, step=0)
    use(tracker, tmp_path)
    assert "ConnectionResetError: Connection lost" in one_line(capfd.readouterr().err)
    assert [keywords["exit_code"] for keywords in fake_wandb.named("finish")] == [0]  # the rest still arrives


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", ["init", "log", "summary", "finish"])
def test_interrupts_pass_through(fake_wandb, tmp_path, call, interrupt):
    fake_wandb.trouble[call] = interrupt()
    with pytest.raises(interrupt):
        use(start(make(), tmp_path), tmp_path)


def test_calls_without_a_start_do_nothing(fake_wandb, tmp_path):
    use(Safe(make, "wandb"), tmp_path)
    assert fake_wandb.calls == []


def test_wandb_is_imported_by_start_only(drive):
    drive([("t", "new", DEFAULTS), log(0, loss=1.0), FINISH])  # nothing to record, nowhere to complain
    code = "import sys, peftlab.tracker.wandb; assert not {'wandb', 'torch'} & set(sys.modules)"
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": root})
