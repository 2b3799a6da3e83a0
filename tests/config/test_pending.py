"""A finished job is known without composing it; the index that says which run it is, is never the truth."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from peftlab.config.compose import opened_configs
from peftlab.config.identity import Identity
from peftlab.config.name import task_config
from peftlab.config.pending import pending, remember
from peftlab.record.index import ASKED
from peftlab.record.lock import Lock
from peftlab.record.record import Record
from peftlab.record.whole import files_of


@pytest.fixture(scope="module")
def loader() -> Iterator[Any]:
    with opened_configs():
        yield GlobalHydra.instance().config_loader()


JOBS = [["seed=0"], ["seed=1"]]
ALL = [["seed=0", "+hydra.job.place=5"], ["seed=1", "+hydra.job.place=6"]]


@pytest.fixture
def sweep(loader: Any, tmp_path: Path) -> DictConfig:
    """Of two jobs, the first of which is finished."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"a")
    words = ["hydra.mode=MULTIRUN", f"hydra.sweep.dir={tmp_path}/sweep", f"+dataset.path={tmp_path}/data"]
    master: DictConfig = loader.load_configuration("config", [*words, "seed=0,1"], run_mode=RunMode.MULTIRUN)
    finish(loader, master, tmp_path, ["seed=0"])
    return master


def finish(loader: Any, master: DictConfig, tmp_path: Path, words: list[str]) -> None:
    job = loader.load_sweep_config(master, [*words, f"+dataset.path={tmp_path}/data"])
    OmegaConf.update(job, "hydra.overrides.task", words)
    with open_dict(job.hydra.runtime):
        job.hydra.runtime.output_dir = f"{tmp_path}/sweep/run"
    record = Record(tmp_path / "sweep" / "run", {"seed": "0"}, task_config(job))
    record.identity = Identity(record.config)
    record.status("running")
    record.write_text("config.yaml", "format: 1\n")
    record.write(
        "result.json", {"run_id": "1", "metrics": {}, "state": "ok", "files": files_of(record.folder)}
    )
    record.status("ok")
    record.release()
    remember(job)


def test_a_finished_job_is_left_out_and_the_others_keep_their_places(
    sweep: DictConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pending(sweep, JOBS, 5) == ALL[1:]
    assert "1 of 2 runs finished before" in capsys.readouterr().err
    assert pending(sweep, JOBS[:1], 5) == []


def test_without_the_index_every_job_is_asked(sweep: DictConfig, tmp_path: Path) -> None:
    for content in (b"", b'\xff{"asked', b'{"asked": "1", "run": "run"}'):
        (tmp_path / "sweep" / ASKED).write_bytes(content)
        assert pending(sweep, JOBS, 5) == ALL
    (tmp_path / "sweep" / ASKED).unlink()
    assert pending(sweep, JOBS, 5) == ALL


def damages(folder: Path, data: Path) -> dict[str, Any]:
    return {
        "a file of the run is gone": (folder / "config.yaml").unlink,
        "the run did not end": lambda: (folder / "status.json").write_text('{"state": "running"}'),
        "the record is cut short": lambda: (folder / "result.json").write_text('{"run_id'),
        "the data are others": lambda: (data / "a.png").write_bytes(b"other"),
        "the data are gone": (data / "a.png").unlink,
    }


@pytest.mark.parametrize("what", damages(Path(), Path()))
def test_what_is_not_as_the_run_left_it_is_asked(sweep: DictConfig, tmp_path: Path, what: str) -> None:
    damages(tmp_path / "sweep" / "run", tmp_path / "data")[what]()
    assert pending(sweep, JOBS, 5) == ALL


def test_a_run_that_is_written_now_is_asked(sweep: DictConfig, tmp_path: Path) -> None:
    lock = Lock(tmp_path / "sweep" / "run")
    assert lock.take()
    assert pending(sweep, JOBS, 5) == ALL
    lock.release()
    assert pending(sweep, JOBS, 5) == ALL[1:]


def test_other_words_mean_another_job(sweep: DictConfig) -> None:
    assert len(pending(sweep, [["seed=0", "peft.rank=2"]])) == 1
    assert len(pending(sweep, [["seed=0", "resume=false"]])) == 1
    OmegaConf.update(sweep, "resume", False)
    assert pending(sweep, JOBS, 5) == ALL


def test_an_index_that_points_elsewhere_is_not_followed(sweep: DictConfig, tmp_path: Path) -> None:
    path = tmp_path / "sweep" / ASKED
    text = path.read_text()
    for name in ("../sweep/run", str(tmp_path / "sweep" / "run"), "nowhere"):
        path.write_text(text.replace('"run": "run"', f'"run": "{name}"'))
        assert pending(sweep, JOBS, 5) == ALL
    path.write_text(text.replace('"config": "', '"config": "0'))
    assert pending(sweep, JOBS, 5) == ALL


def test_a_run_of_other_content_is_not_remembered(loader: Any, sweep: DictConfig, tmp_path: Path) -> None:
    """As one whose folder another run has: its words mean no run here."""
    before = (tmp_path / "sweep" / ASKED).read_bytes()
    job = loader.load_sweep_config(sweep, ["seed=1"])
    with open_dict(job.hydra.runtime):
        job.hydra.runtime.output_dir = f"{tmp_path}/sweep/run"
    remember(job)
    assert (tmp_path / "sweep" / ASKED).read_bytes() == before
