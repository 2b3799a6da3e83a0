"""What of a folder is a run's: what is cleared, what is not, and where nothing is written at all."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from peftlab.errors import UserError
from peftlab.record import folder as module
from peftlab.record.folder import WRITTEN, check_ours, clear, clear_parts, is_ours
from peftlab.record.record import Record

FIRST_HOUSE = Path(__file__).parent / "first_house"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """All that a run may leave."""
    made = Record(tmp_path / "run", {}, {"seed": 0})
    for name in WRITTEN:
        made.write_text(name, "x")
    made.write("result.json", {"run_id": "1", "metrics": {}})
    made.status("ok")
    for name in ("offline-run-20261126_114437-1a2b", "run-20261126_114437-1a2b"):
        made.write_text(f"wandb/{name}/run.wandb", "x")
    made.write_text("wandb/debug.log", "x")
    (tmp_path / "run" / "wandb" / "latest-run").symlink_to("run-20261126_114437-1a2b")
    made.release()
    below = Record(tmp_path / "run" / "supernet", {}, {})
    below.status("ok")
    below.release()
    return tmp_path / "run"


def test_all_that_a_run_writes_is_cleared(run: Path) -> None:
    clear(run)
    assert names(run) == set()


def test_everything_that_a_run_writes_is_named() -> None:
    """The names of files in the sources that write into the folder."""
    package = Path(str(module.__file__)).parents[1]
    text = "".join(
        path.read_text() for room in ("record", "run", "search") for path in (package / room).glob("*.py")
    )
    written = set(re.findall(r'"((?:search/)?[a-z_]+\.(?:ya?ml|json|jsonl|csv|png|safetensors))"', text))
    assert len(written) >= 10
    assert written - {"export.yaml"} <= set(WRITTEN)  # which marks a folder that is no run's


def test_what_is_not_a_run_s_stays(run: Path, tmp_path: Path) -> None:
    """hydra.run.dir may name any folder, and people put notes beside their results."""
    foreign = (
        "notes.md",
        "last/thesis.tex",
        "search/index.html",
        "wandb/settings",
        "supernet/notes.md",
        "export_timm/a",
    )
    for name in foreign:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("years of work")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "state.pt").write_text("x")
    shutil.rmtree(run / "last")
    (run / "last").symlink_to(elsewhere)
    (run / "gamma.png").unlink()
    (run / "gamma.png").mkdir()
    clear(run)
    assert names(run) == {
        *(name for name in foreign if name != "last/thesis.tex"),
        *("search", "wandb", "supernet", "export_timm", "gamma.png"),
    }
    assert (elsewhere / "state.pt").exists()


def test_a_supernet_that_is_no_run_s_stays(tmp_path: Path) -> None:
    (tmp_path / "supernet" / "last").mkdir(parents=True)
    (tmp_path / "supernet" / "last" / "state.pt").touch()
    (tmp_path / "supernet" / "config.yaml").write_text("name: my supernet")
    before = names(tmp_path)
    clear(tmp_path)
    assert names(tmp_path) == before


def test_half_written_files_of_killed_writers_are_cleared_and_no_others(run: Path) -> None:
    left = [".state.pt.4711", ".result.json.1", ".found.yaml.22"]
    for name in ("last/.state.pt.4711", ".result.json.1", "search/.found.yaml.22"):
        (run / name).touch()
    for name in (".result.json.bak", ".notes.md.7", ".env"):
        (run / name).touch()
    clear_parts(run)
    assert not [name for name in names(run) if Path(name).name in left]
    assert {".result.json.bak", ".notes.md.7", ".env"} <= names(run)


def test_the_next_one_that_holds_the_folder_clears_them(run: Path) -> None:
    (run / "last" / ".state.pt.4711").touch()
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "state": "interrupted"}))
    record = Record(run, {}, {})
    record.take(resume=True)
    assert not (run / "last" / ".state.pt.4711").exists()
    assert (run / "last" / "state.pt").exists()


def test_a_run_s_folder_is_known_by_any_of_its_marks(run: Path) -> None:
    assert is_ours(run)
    for damaged in (
        ("status.json",),
        ("result.json",),
        ("status.json", "config.yaml"),
        ("result.json", "config.yaml"),
    ):
        copy = Path(shutil.copytree(run, run.parent / "-".join(damaged), symlinks=True))
        for name in damaged:
            (copy / name).write_text("{")
        assert is_ours(copy)
    (run / "config.yaml").write_text("format: 2\nseed: 0\n")
    (run / "status.json").unlink()
    (run / "result.json").unlink()
    assert is_ours(run)
    (run / "export.yaml").touch()
    assert not is_ours(run), "what was written for another program is no run"
    assert all(is_ours(folder) for folder in FIRST_HOUSE.iterdir())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("thesis.tex", "x"),
        ("config.yaml", "defaults: [a, b]\n"),
        ("config.yaml", "backbone: {_target_: peftlab.backbone.timm.model.timm_model}\n"),
        ("config.yaml", "[" * 3000),
        ("config.yaml", "format: 2\n- a"),
        ("status.json", '{"state": "ok"}'),
        ("status.json", '{"state": "green", "choices": {}}'),
        ("result.json", '{"metrics": {}}'),
        ("gamma.csv", "gamma\n1\n"),
        (".env", "SECRET"),
        ("last/state.pt", "x"),
        ("wandb/mine", "x"),
    ],
)
def test_nothing_is_written_beside_what_is_not_ours(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    before = names(tmp_path)
    run = Record(tmp_path, {}, {"seed": 0})
    for call in (run.look, run.take):
        for resume in (True, False):
            with pytest.raises(
                UserError, match=r"is no run's folder and not empty \(.*\); legal: a new or empty"
            ):
                call(resume=resume)
    assert not run.fail("refused")
    assert names(tmp_path) == before
    assert (tmp_path / name).read_text() == text


def test_a_new_folder_an_empty_one_and_hydra_s_own_are_nobody_s(tmp_path: Path) -> None:
    check_ours(tmp_path / "no")
    check_ours(tmp_path)
    (tmp_path / ".hydra").mkdir()
    check_ours(tmp_path)
    assert os.listdir(tmp_path) == [".hydra"]


def test_a_kill_while_it_is_cleared_leaves_a_folder_that_is_known(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every single file."""
    unlink, removed = Path.unlink, []

    def dies(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        removed.append(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dies)
        while any(path.is_file() for path in run.iterdir()):
            with pytest.raises(KeyboardInterrupt):
                clear(run)
            check_ours(run)
    assert (removed[0], removed[-1]) == ("result.json", "status.json")


def test_a_half_written_first_mark_is_nobody_s(tmp_path: Path) -> None:
    (tmp_path / ".status.json.4711").touch()
    check_ours(tmp_path)
