"""The command line: exit codes, one sentence for a wrong input, folders, and what is imported when."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import peftlab
from peftlab.command import train
from peftlab.config.file import config_text
from peftlab.config.name import config_hash
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.record.lock import Lock
from peftlab.record.record import Record

TINY = ("backbone=tiny", "fit.epochs=1", "fit.batch_size=64", "device=cpu")
HEAVY = ("torch", "torchvision", "timm", "wandb", "matplotlib", "sklearn", "scipy", "datasets", "pandas")
Call = Callable[..., SimpleNamespace]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is handed to peftlab.search.stages.run_found, which here only says that it was; some ranks end in other ways."""
    calls: list[dict[str, Any]] = []

    def pretend(resolved: Resolved, record: Record, group: str | None) -> None:
        config = resolved.raw
        calls.append({"config": config, "folder": record.folder, "group": group, "choices": record.choices})
        rank = config["peft"].get("rank")
        if rank == 13:
            raise ZeroDivisionError("thirteen")
        if rank == 14:
            raise UserError("peft.rank=14 is too much; legal: less")
        record.take(config["resume"])
        record.status("running")
        if rank == 15:
            raise KeyboardInterrupt
        if rank == 16:
            record.status("interrupted")
            sys.exit(130)
        record.write_text("config.yaml", config_text(config))
        record.write("result.json", {"run_id": config_hash(config), "metrics": {"test/mean_acc": 0.5}})
        record.status("ok")

    monkeypatch.setattr("peftlab.search.stages.run_found", pretend)
    return calls


def state(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return status


def is_one_sentence(said: SimpleNamespace) -> None:
    assert said.code == 2
    assert said.err.startswith("peftlab: ")
    assert said.err.count("\n") <= 1
    assert "Traceback" not in said.err + said.out
    assert "Error" not in said.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["+peft.rnk=3"], "peft.rnk=3 is not a key of peft; legal: depth, dropout"),
        (["peft.rank=-8"], "peft.rank=-8 is not legal; legal: a whole number from 1 to 4096"),
        (
            ["fit.clip_norm=None"],
            "fit.clip_norm=None is not legal; legal: a number above 0 and at most 1000000 or null",
        ),
        (
            ["scaling=meta", "scaling.outer.fraction=0"],
            "scaling.outer.fraction=0 is not legal; legal: a number above 0 and below 1",
        ),
        (
            ["scaling=meta", "peft=bitfit"],
            "scaling=meta needs a delta to multiply, and bitfit has none; legal: scaling=fixed",
        ),
        (
            ["backbone=vit_smal_patch16_224"],
            "backbone.name=vit_smal_patch16_224 is not a timm model; legal: one of timm.list_models(), near: vit_small",
        ),
        (
            ["placement=cells", 'placement.cells={"0-5.q": {rnk: 8}}'],
            "placement.cells: 0.q has the option rnk=8; legal: rank",
        ),
        (["peft.rank=4,8"], "peft.rank=4,8 is more than one value; legal: one, a list"),
        (["peft=null"], "peft=null is not a choice of the group peft; legal: adapter_houlsby"),
        (["rank"], "rank cannot be read; legal: KEY=VALUE"),
        (["-m", "peft=lora,lorra"], "peft=lorra is not a choice of the group peft; legal: adapter_houlsby"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_input_is_one_sentence_and_leaves_no_run(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path, words: list[str], expected: str
) -> None:
    said = call(*words)
    is_one_sentence(said)
    assert said.err.startswith(f"peftlab: {expected}")
    assert runs == []
    assert list(tmp_path.rglob("status.json")) == []


def test_what_only_the_build_can_know_is_one_sentence_too(call: Call, tmp_path: Path) -> None:
    """Hydra wraps what a _target_ raises in an error of its own."""
    said = call(*TINY, "backbone.depth=3", "placement.depth=0")
    is_one_sentence(said)
    assert said.err.startswith("peftlab: backbone.depth=3, but vit_tiny_patch16_224 has 2 blocks; ")
    assert list(tmp_path.rglob("status.json")) == []


def test_seed_0_runs(call: Call, runs: list[dict[str, Any]]) -> None:
    assert call("seed=0").code == 0
    assert runs[0]["config"]["seed"] == 0
    assert "-s0-" in runs[0]["folder"].name


def test_quoted_cell_keys_as_in_yaml(call: Call, runs: list[dict[str, Any]]) -> None:
    given = '{"0-5.q": {rank: 8}, \'-1.mlp1\': {"rank": 4, scale: 0.5}, "0%-25%.attn_qv": {}}'
    for spelling in (given, given.replace('"', "").replace("'", "")):
        assert (
            call("placement=cells", f"placement.cells={spelling.replace('0%-25%.attn_qv', '7.v')}").code == 0
        )
    parsed = [run["config"]["placement"]["cells"] for run in runs]
    assert parsed[0] == {"0-5.q": {"rank": 8}, "-1.mlp1": {"rank": 4, "scale": 0.5}, "7.v": {}}
    assert parsed[1:] == parsed[:1] * (len(parsed) - 1)
    said = call("placement=cells", f"placement.cells={given}")
    assert "names the site 0.q twice" in said.err  # the fraction was read


@pytest.mark.parametrize(
    ("word", "rewritten"),
    [
        ("backbone=tiny", ["backbone=tiny"]),
        ("backbone=vit_base_patch16_224.augreg_in21k", ["backbone=vit_base_patch16_224.augreg_in21k"]),
        ("backbone=vit_small_patch16_224", ["backbone=timm", "backbone.name=vit_small_patch16_224"]),
        ("backbone=a.b_1", ["backbone=timm", "backbone.name=a.b_1"]),
        ("backbone=tiny,timm", ["backbone=tiny,timm"]),
        ("backbone=", ["backbone="]),
        ("backbone", ["backbone"]),
        ("backbone.name=x", ["backbone.name=x"]),
        ("placement.cells={'3.q':{rank:4}}", ["placement.cells={3.q:{rank:4}}"]),
        ("baseline=placement.depth=0-2,seed=1", ['baseline="placement.depth=0-2,seed=1"']),
        ('baseline="a=b"', ['baseline="a=b"']),
        ("backbone.checkpoint=/a/epoch=3.pt", ['backbone.checkpoint="/a/epoch=3.pt"']),
        ("dataset.path=a=1,b=2", ["dataset.path=a=1,b=2"]),
        ("tracker=[wandb,trackio]", ["tracker=several"]),
        ("tracker=[trackio, wandb]", ["tracker=several"]),
        ("tracker=[wandb]", ["tracker=[wandb]"]),
        ("tracker=[wandb,none]", ["tracker=[wandb,none]"]),
        ("tracker=wandb", ["tracker=wandb"]),
        ("-m", ["-m"]),
        ("seed=0", ["seed=0"]),
    ],
)
def test_spellings_that_hydra_does_not_know(word: str, rewritten: list[str]) -> None:
    assert train.rewrite([word]) == rewritten
    assert train.rewrite(["-m", word, "seed=1"]) == ["-m", *rewritten, "seed=1"]


def test_a_value_with_an_equals_sign_arrives_whole(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    weights = tmp_path / "epoch=3.pt"
    weights.write_bytes(b"\x80")
    cell = "placement.depth=0-2,placement.position=q"
    assert call(f"baseline={cell}", f"backbone.checkpoint={weights}", "backbone.sha256=null").code == 0
    assert runs[0]["config"]["baseline"] == cell
    assert runs[0]["config"]["backbone"]["checkpoint"] == str(weights)


def test_a_run_is_skipped_when_it_is_finished_and_repeated_when_asked(
    call: Call, runs: list[dict[str, Any]]
) -> None:
    first = call("peft.rank=4")
    assert (first.code, len(runs)) == (0, 1)
    again = call("peft.rank=4", "tracker.project=x", "tracker=wandb", "fit.save_every=2")
    assert (again.code, len(runs)) == (0, 1)
    assert "finished before (ok); resume=false runs it again" in again.err
    assert (call("peft.rank=4", "resume=false").code, len(runs)) == (0, 2)
    assert (call("peft.rank=5").code, len(runs)) == (0, 3)
    folders = [run["folder"] for run in runs]
    assert folders[0] == folders[1] != folders[2]
    assert [run["group"] for run in runs] == [None] * 3
    assert runs[0]["folder"].name.endswith(config_hash(runs[0]["config"])[:8])


@pytest.mark.slow
def test_a_live_run_is_refused_and_goes_on(call: Call, runs: list[dict[str, Any]], tmp_path: Path) -> None:
    """Also from inside a sweep, whose failed jobs overwrite their status."""
    for words in (["peft.rank=4"], ["-m", "peft.rank=4"]):
        assert call(*words).code == 0
        run = runs[-1]
        folder = tmp_path / run["folder"]
        before, lock = state(folder), Lock(folder)  # as another process has it
        assert lock.take()
        said = call(*words)
        assert said.code == (1 if "-m" in words else 2)
        assert f"is being written by process {os.getpid()} on " in said.err
        assert "Traceback" not in said.err
        assert state(folder) == before
        lock.release()
    assert len(runs) == 2


def test_a_failure_is_recorded_with_its_traceback(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    said = call("peft.rank=13")
    assert said.code == 1
    assert "ZeroDivisionError: thirteen" in said.err
    status = state(tmp_path / runs[0]["folder"])
    assert (status["state"], status["error"]) == ("failed", "ZeroDivisionError: thirteen")
    assert "in pretend" in status["traceback"]
    assert call("peft.rank=13").code == 1
    assert len(runs) == 2  # retried


def test_an_interrupt_ends_with_130(call: Call, runs: list[dict[str, Any]], tmp_path: Path) -> None:
    for rank in (15, 16):
        assert call(f"peft.rank={rank}").code == 130
        assert state(tmp_path / runs[-1]["folder"])["state"] == "interrupted"


@pytest.mark.slow
def test_a_sweep_goes_on_past_a_failure_and_retries_it(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    words = ("-m", "peft.rank=3,13,14,4")
    said = call(*words)
    assert said.code == 1
    assert "Traceback" in said.err  # of rank 13, whose fault is ours; rank 14's is a sentence
    assert "peftlab: peft.rank=14 is too much; legal: less" in said.err
    ranks = [run["config"]["peft"]["rank"] for run in runs]
    assert ranks == [3, 13, 14, 4]
    folders = [tmp_path / run["folder"] for run in runs]
    assert len(set(folders)) == 4
    assert len({folder.parent for folder in folders}) == 1
    assert {run["group"] for run in runs} == {folders[0].parent.name}
    assert runs[0]["choices"] == {"peft.rank": "3"}
    assert [state(folder)["state"] for folder in folders] == ["ok", "failed", "failed", "ok"]
    assert state(folders[2])["error"] == "peft.rank=14 is too much; legal: less"
    assert state(folders[2])["traceback"] is None
    assert [state(folder)["number"] for folder in folders] == list(range(4))
    assert [state(folder)["flat"]["rank"] for folder in folders] == [3, 13, 14, 4]
    assert (folders[0].parent / "sweep.csv").exists()
    assert call(*words).code == 1
    assert [run["config"]["peft"]["rank"] for run in runs[4:]] == [13, 14]
    assert {tmp_path / run["folder"] for run in runs[4:]} == set(folders[1:3])


def test_a_sweep_of_finished_jobs_ends_with_0_and_its_table(call: Call, runs: list[dict[str, Any]]) -> None:
    said = call("-m", "placement.depth=0-2,3-5")
    assert said.code == 0
    assert "sweep.csv" in said.out
    assert len(runs) == 2


def test_a_wrong_baseline_is_a_sentence_before_the_runs(call: Call, runs: list[dict[str, Any]]) -> None:
    said = call("-m", "peft.rank=3,4", "baseline=peft.rank=7")
    is_one_sentence(said)
    assert said.err.startswith(
        "peftlab: baseline=peft.rank=7 is no cell of this sweep; legal are peft.rank=3; "
    )
    assert runs == []


@pytest.mark.slow
def test_an_interrupted_sweep_stops_and_reports_what_is_finished(
    call: Call, runs: list[dict[str, Any]]
) -> None:
    said = call("-m", "peft.rank=3,16,4")
    assert said.code == 130
    assert [run["config"]["peft"]["rank"] for run in runs] == [3, 16]
    assert "sweep.csv" in said.out
    assert call("seed=3").code == 0  # the next call in this process starts with no memory of it


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_jobs_in_one_folder_are_one_and_a_failure(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    said = call("-m", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=${hydra.job.name}", "seed=0,1")
    assert said.code == 1
    assert len(runs) == 1
    assert "holds the run of another config: seed=0 there, 1 now" in said.err
    assert "failed: peftlab: " in said.out
    assert state(tmp_path / "sweep" / "peftlab")["state"] == "ok"


@pytest.mark.slow
def test_a_refused_sweep_changes_nothing(call: Call, runs: list[dict[str, Any]], tmp_path: Path) -> None:
    words = ("-m", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=r${peft.rank}", "peft.rank=3,4")
    assert call(*words).code == 0
    before = files(tmp_path)
    for more, code in (
        (["optim.lr=0.5"], 1),  # each job finds another run in its folder
        (["fit.clip_norm=0"], 2),
        (["fit.clip_norm=0", "resume=false"], 2),
    ):
        said = call(*words, *more)
        assert said.code == code
        assert "Traceback" not in said.err + said.out
        assert files(tmp_path) == before
    assert len(runs) == 2


@pytest.mark.parametrize(
    "words", [["fit.clip_norm=0"], ["hydra.run.dir=new/a/b", "peft.rank=14"], ["peft.rank=14"]]
)
def test_a_refused_run_leaves_no_folder(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "mine").mkdir()
    assert call(*words).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert call(*words, "hydra.run.dir=mine").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"], "which was there before"


@pytest.mark.parametrize("resume", ["true", "false"])
def test_the_working_directory_is_nobody_s_run(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path, resume: str
) -> None:
    for name in ("last/a", "search/b", "wandb/c", "supernet/d", "config.yaml", "gamma.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = files(tmp_path)
    said = call("hydra.run.dir=.", f"resume={resume}")
    assert (said.code, runs) == (2, [])
    assert "is no run's folder and not empty" in said.err
    assert files(tmp_path) == before


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_a_sentence(
    call: Call, runs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra makes it, before us; a sweep reports what it has."""
    assert call("-m", "hydra.sweep.dir=sweep", "peft.rank=3").code == 0
    make = Path.mkdir

    def read_only(path: Path, *given: Any, **more: Any) -> None:
        if not path.exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        make(path, *given, **more)

    monkeypatch.setattr(Path, "mkdir", read_only)
    for words in (["peft.rank=5"], ["-m", "hydra.sweep.dir=sweep", "peft.rank=3,5"]):
        said = call(*words)
        assert said.code == 1
        assert "cannot be used (Read-only file system); legal" in said.err
        assert "Traceback" not in said.err
        assert ("sweep.csv" in said.out) == ("-m" in words)


def test_a_wrong_job_of_a_sweep_is_a_failed_job(call: Call, runs: list[dict[str, Any]]) -> None:
    said = call("-m", "peft.rank=3,-3")
    assert said.code == 1
    assert "peftlab: peft.rank=-3 is not legal; legal: a whole number from 1 to 4096" in said.err
    assert "Traceback" not in said.err
    assert len(runs) == 1


def test_the_main_job_in_small(call: Call, tmp_path: Path) -> None:
    """No pretence here: data, training, test, files."""
    said = call(*TINY, "peft.rank=2", "placement.depth=0")
    assert said.code == 0, said.err
    (folder,) = (tmp_path / "outputs").iterdir()
    result = json.loads((folder / "result.json").read_text())
    assert (folder / "config.yaml").read_text().startswith("format: 2\n")
    assert next(iter(result.items())) == ("format", 2)
    assert (state(folder)["state"], result["state"], result["test_reads"]) == ("ok", "ok", 1)
    assert {site["block"] for site in result["sites"]} == {0}
    assert 0 <= result["metrics"]["test/mean_acc"] <= 1
    assert "test result of" in said.out


# Real processes: what the interpreter itself does.

SPY = """
import sys
sys.argv = ["peftlab", *sys.argv[1:]]
from peftlab.command.train import main
try:
    main()
finally:
    print("HEAVY", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def spawn(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(train.__file__).parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["peft.rank=-8"], 2, "peftlab: peft.rank=-8 is not legal; legal: a whole number from 1 to 4096\n"),
        (
            ["backbone=vit_smal_patch16_224"],
            2,
            "peftlab: backbone.name=vit_smal_patch16_224 is not a timm model",
        ),
        (["--help"], 0, "peftlab experiment=placement_grid"),
        (["--cfg", "job"], 0, "rank: 8"),
        (["-sc", "query=bash"], 0, "peft=adaptformer"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_nothing_heavy_is_imported_before_a_run(
    tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    completion = {"COMP_LINE": "peftlab peft=", "COMP_POINT": "13"}
    done = spawn(["-c", SPY.format(heavy=HEAVY), *words], tmp_path, **completion)
    assert done.returncode == code
    assert says in (done.stderr if code else done.stdout)
    assert done.stderr.splitlines()[-1] == "HEAVY" or "HEAVY\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_spy_sees_what_it_looks_for(tmp_path: Path) -> None:
    done = spawn(["-c", "import scipy\n" + SPY.format(heavy=HEAVY), "--cfg", "job"], tmp_path)
    assert "HEAVY scipy\n" in done.stderr


def test_a_wrong_input_is_answered_within_two_seconds(tmp_path: Path) -> None:
    """Processor time of the whole process, the best of three: wall time on a machine with nobody else."""
    cpu_s = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = spawn(["-m", "peftlab", "placement.depth=12"], tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 2
        assert done.stderr == (
            "peftlab: placement.depth=12 is outside the backbone; legal: blocks 0-11 (or -12 to -1)\n"
        )
        assert done.stdout == ""
        if cpu_s[-1] < 2:
            break
    assert 0 < min(cpu_s) < 2


def test_the_version_is_ours_and_not_that_of_hydra(call: Call, tmp_path: Path) -> None:
    said = call("--version")
    assert (said.code, said.out) == (0, f"peftlab {peftlab.__version__}\n")
    assert not list(tmp_path.iterdir())
