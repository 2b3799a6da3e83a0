"""Several trackers are told the same, and a failure of one is its own; also through the command line."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from peftlab.command.train import rewrite
from peftlab.config.compose import composed
from peftlab.config.directory import names_of
from peftlab.config.signature import signature
from peftlab.tracker.several import Several
from peftlab.tracker.tracker import Opening

CALLS = ("start", "log", "table", "image", "page", "finish")
SMALL = ("backbone=tiny", "device=cpu", "fit.epochs=1", "fit.batch_size=64")
BOTH = ("tracker=[wandb,trackio]", "tracker.wandb.mode=offline", "tracker.wandb.project=lab")


class Mirror:
    """A tracker that keeps its calls, and fails in one of them."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.calls = fails, []

    def __getattr__(self, name: str):
        def call(*values, **keywords):
            if name == self.fails:
                raise OSError("out of order")
            with values[1] if name == "image" else contextmanager(lambda: iter([None]))() as path:
                self.calls.append(
                    (name, *(path if value is values[-1] and path else value for value in values))
                )

        return call


def use(wandb: Mirror, trackio: Mirror) -> list[str]:
    """Every call once; how often the picture was drawn."""
    drawn = []

    @contextmanager
    def picture():
        drawn.append("gamma.png")
        yield Path("gamma.png")

    tracker = Several(wandb=lambda: wandb, trackio=lambda: trackio)
    tracker.start(Opening("a", "b", None, "run", (), {}, Path("run")))
    tracker.log({"a": 1.0}, step=1)
    tracker.table("t", ["a"], [[1]], step=1)
    tracker.image("i", picture(), step=1)
    tracker.page("p", Path("index.html"), step=1)
    tracker.finish({"a": 1.0}, exit_code=0)
    return drawn


def test_each_is_told_the_same_and_a_picture_is_drawn_once(capfd):
    both = Mirror(), Mirror()
    assert use(*both) == ["gamma.png"]
    assert both[0].calls == both[1].calls
    assert [call[0] for call in both[0].calls] == list(CALLS)
    assert both[0].calls[3] == ("image", "i", Path("gamma.png"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("fails", CALLS)
@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_failure_is_told_by_its_own_name_and_the_other_goes_on(capfd, name, fails):
    both = {"wandb": Mirror(), "trackio": Mirror()} | {name: Mirror(fails)}
    use(**both)
    other = next(mirror for key, mirror in both.items() if key != name)
    assert [call[0] for call in other.calls] == list(CALLS)
    left = [] if fails == "start" else [call for call in CALLS if call != fails]
    assert [call[0] for call in both[name].calls] == left
    assert capfd.readouterr().err == (
        f"warning: {name}: {fails}: OSError: out of order; the run goes on without it\n"
    )


def test_what_cannot_be_made_is_told_by_its_name(capfd):
    def broken():
        raise ImportError("no such package")

    tracker = Several(wandb=broken, trackio=Mirror)
    tracker.start(Opening("a", "b", None, "run", (), {}, Path("run")))
    assert capfd.readouterr().err.startswith("warning: wandb: start: ImportError: no such package")


def test_it_holds_every_tracker_and_the_list_of_them_means_it():
    every = set(names_of("tracker")) - {"none", "several"}
    assert signature("peftlab.tracker.several.Several").keys.keys() == every
    assert composed("tracker=several")["tracker"].keys() - {"_target_"} == every
    assert rewrite([f"tracker=[{','.join(sorted(every))}]"]) == ["tracker=several"]


@pytest.fixture
def in_process(fake_wandb, trackio_home, call):
    """`call(WORDS)` with the real trackio, and with a stand-in for wandb."""
    return call


def test_a_run_is_told_to_both_and_is_the_same_run(in_process, fake_wandb, tmp_path, read_trackio):
    said = in_process(*SMALL, *BOTH)
    assert said.code == 0
    assert "warning" not in said.err
    (folder,) = (tmp_path / "outputs").glob("digits_lt-*")
    (run,) = read_trackio(tmp_path / "outputs" / "trackio").values()
    (opened,) = fake_wandb.named("init")
    assert (opened["mode"], opened["project"]) == ("offline", "lab")
    assert opened["id"] == run.config["run_id"]
    losses = [row["train/loss"] for _, row in run.rows if "train/loss" in row]
    assert losses == [
        row["values"][0]["train/loss"] for row in fake_wandb.named("log") if "train/loss" in row["values"][0]
    ]
    assert losses == [
        row["train/loss"]
        for row in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        if "train/loss" in row
    ]
    summary = {row["key"]: row["value"] for row in run.rows[-1][1]["summary"]["_value"]}
    assert summary == {**fake_wandb.named("summary")[0]["values"][0], "exit_code": 0}
    for words in ((), ("tracker=trackio",), ("tracker=several",)):
        said = in_process(*SMALL, *words)
        assert said.code == 0
        assert "finished before (ok)" in said.err, "trackers are no part of what a run is"


def test_one_that_fails_leaves_the_run_and_the_other_alone(
    in_process, fake_wandb, tmp_path, capfd, read_trackio
):
    fake_wandb.trouble["init"] = RuntimeError("no server")
    (tmp_path / "mine").write_text("a file where the folder of trackio should be")
    said = in_process(*SMALL, *BOTH)
    assert said.code == 0
    assert [line for line in said.err.splitlines() if line.startswith("warning: wandb: start: ")]
    assert len(read_trackio(tmp_path / "outputs" / "trackio")) == 1
    fake_wandb.trouble.clear()
    said = in_process(*SMALL, *BOTH, "tracker.trackio.folder=mine", "seed=1")
    assert said.code == 0
    assert [
        line for line in said.err.splitlines() if line.startswith("warning: trackio: start: FileExistsError")
    ]
    assert fake_wandb.named("finish") == [{"exit_code": 0}]


@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=fused",)])
def test_a_sweep_reports_to_both(in_process, fake_wandb, tmp_path, read_trackio, launcher):
    said = in_process("-m", *SMALL, *BOTH, *launcher, "scaling.value=1,2")
    assert said.code == 0
    assert "warning" not in said.err
    (sweep,) = (tmp_path / "outputs" / "sweep").iterdir()
    runs = read_trackio(tmp_path / "outputs" / "trackio")
    kinds = sorted(run.config["kind"] for run in runs.values())
    assert (
        kinds == sorted(opened["job_type"] for opened in fake_wandb.named("init")) == ["report", "run", "run"]
    )
    assert {run.config["_Group"] for run in runs.values()} == {sweep.name}
    (report,) = (run for run in runs.values() if run.config["kind"] == "report")
    keys = {key for _, row in report.rows for key in row}
    assert {"sweep/jobs", "sweep/cells", "sweep/best", "num_ok", "summary"} <= keys
    assert len(list(sweep.glob("value-*/result.json"))) == 2
    again = in_process("-m", *SMALL, "tracker=none", *launcher, "scaling.value=1,2")
    assert again.code == 0
    assert "2 of 2 runs finished before" in again.err or again.err.count("finished before") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tracker=[wandb,none]"], "legal: none, several, trackio, wandb"),
        (["tracker=[wandb,wandb]"], "legal: none, several, trackio, wandb"),
        (["tracker=several", "tracker.mode=offline"], "is not a key of tracker; legal: trackio, wandb"),
        (["tracker=several", "tracker.wandb=null"], "tracker.wandb=null is not legal"),
        (["tracker=several", "tracker.trackio.folder="], "tracker.trackio.folder= is not legal"),
        (
            ["tracker=several", "tracker.wandb._target_=os.system"],
            "none of the project's functions for tracker.wandb",
        ),
        (
            ["tracker=several", "tracker.wandb._target_=peftlab.tracker.trackio.TrackioTracker"],
            "none of the project's functions for tracker.wandb",
        ),
    ],
)
def test_a_wrong_choice_is_one_sentence(call, words, told):
    said = call(*words)
    assert said.code != 0
    (line,) = said.err.strip().splitlines()
    assert line.startswith("peftlab: ")
    assert told in line


@pytest.mark.slow
def test_a_real_run_of_both(clean_env, trackio_home, tmp_path, read_run, read_trackio):
    """In a process of its own: wandb never waits for its child."""
    root = str(Path(__file__).parents[2])
    words = [
        *SMALL,
        *BOTH,
        "scaling=meta",
        "fit.epochs=4",
        "scaling.outer.warmup=1",
        f"hydra.run.dir={tmp_path / 'run'}",
    ]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(clean_env), "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "peftlab.command.train", *words],
        env=env | {"TMPDIR": str(clean_env)}, cwd=clean_env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning: wandb" not in done.stderr + done.stdout
    assert "trackio" not in done.stderr + done.stdout
    read, (run,) = read_run(tmp_path / "run"), read_trackio(clean_env / "outputs" / "trackio").values()
    keys = {key for _, row in run.rows for key in row}
    assert {"gamma_map", "gamma_table", "gamma_ratio_map", "test/per_class", "test/mean_acc", "epoch"} <= keys
    assert read.run.run_id == run.config["run_id"]
    curve = [row["outer/loss"] for row in read.history if "outer/loss" in row]
    assert curve == [row["outer/loss"] for _, row in run.rows if "outer/loss" in row] != []
