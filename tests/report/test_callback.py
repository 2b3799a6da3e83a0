"""The end of a multirun: its report, or what went wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.sweep import grid
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from peftlab.errors import UserError
from peftlab.report import callback
from peftlab.report.callback import SweepReport


@pytest.fixture(autouse=True)
def _own_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test leaves in the class is not there for the next one."""
    for name in ("started", "last", "error"):
        monkeypatch.setattr(SweepReport, name, None)


def config(folder: Path, baseline: str | None = None) -> Any:
    return OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}, "baseline": baseline})


@pytest.mark.usefixtures("drawn")
def test_callback_keeps_the_report(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SweepReport().on_multirun_end(config(broken, "placement.depth=6-8,placement.position=q"))
    assert SweepReport.error is None
    assert SweepReport.last is not None
    assert SweepReport.last.exit_code == 1
    assert SweepReport.last.baseline.choices["placement.depth"] == "6-8"
    assert str(broken / "cells.csv") in capsys.readouterr().out


@pytest.mark.usefixtures("drawn")
def test_callback_keeps_what_went_wrong(
    broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SweepReport().on_multirun_end(config(broken, "placement.depth=77"))
    assert SweepReport.last is None
    assert isinstance(SweepReport.error, UserError)
    assert str(SweepReport.error).startswith("baseline=placement.depth=77")

    def fall(*_: Any, **__: Any) -> None:
        raise RuntimeError("no disk")

    with monkeypatch.context() as patch:
        patch.setattr(callback, "write_report", fall)
        SweepReport().on_multirun_end(config(broken))
    assert isinstance(SweepReport.error, RuntimeError)
    SweepReport().on_multirun_end(config(grid(tmp_path / "good", (0,))))
    assert SweepReport.error is None
    assert SweepReport.last is not None
    assert SweepReport.last.exit_code == 0


@pytest.mark.usefixtures("drawn")
def test_failures_that_no_folder_tells_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = config(grid(tmp_path / "good", (0,)))
    SweepReport().on_multirun_start(begun)
    SweepReport.untold.append("seed-1: the folder holds the run of another config")
    SweepReport().on_multirun_end(begun)
    assert SweepReport.last is not None
    assert (SweepReport.last.exit_code, SweepReport.last.num_failed) == (1, 1)
    assert "failed: seed-1: the folder holds the run of another config\n" in capsys.readouterr().out
    SweepReport().on_multirun_start(begun)
    SweepReport().on_multirun_end(begun)
    assert SweepReport.last.exit_code == 0


@pytest.mark.usefixtures("drawn")
def test_a_sweep_is_remembered_from_its_start_to_its_end(broken: Path) -> None:
    """The command reports on what is finished if `started` still stands when the sweep is interrupted."""
    SweepReport().on_multirun_end(config(broken, "placement.depth=77"))
    begun = config(broken)
    SweepReport().on_multirun_start(begun, any_other_word=1)
    assert SweepReport.started is begun
    assert (SweepReport.last, SweepReport.error) == (None, None)
    SweepReport().on_multirun_end(begun, any_other_word=1)
    assert SweepReport.started is None
    assert SweepReport.last is not None
    assert SweepReport.last.baseline is next(cell for cell in SweepReport.last.cells if cell.count["ok"])
    SweepReport().on_multirun_end(config(broken, "placement.depth=77"))
    assert SweepReport.last is None


def test_hydra_calls_the_callback() -> None:
    """As `hydra.callbacks` builds it, and with the other events of a multirun doing nothing."""
    from hydra._internal.callbacks import Callbacks

    from peftlab.config.hydra_version import trusted_targets

    node = {"report": {"_target_": "peftlab.report.callback.SweepReport"}}
    hydra_config = {"callbacks": node, "sweep": {"dir": "no such folder"}}
    with trusted_targets():
        callbacks = Callbacks(OmegaConf.create({"hydra": hydra_config}))
    (built,) = callbacks.callbacks
    assert type(built).__name__ == "SweepReport"
    callbacks.on_job_end(config=config(Path("x")), job_return=JobReturn())
    callbacks.on_multirun_end(config=config(Path("no such folder")))
    assert isinstance(type(built).error, UserError)


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, peftlab.report.callback; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "peftlab.report.callback" in run.stdout.split()
    assert not {"torch", "scipy", "matplotlib", "rich", "numpy"} & set(run.stdout.split())


def sweep(folder: Path, baseline: str | None, *words: str, **params: str) -> Any:
    hydra = {"sweep": {"dir": str(folder)}, "sweeper": {"params": params}, "overrides": {"task": list(words)}}
    return OmegaConf.create({"hydra": hydra, "baseline": baseline})


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ("foo", "baseline=foo is no cell of this sweep; legal are peft.rank=1; peft.rank=2."),
        ("peft.rank=3", "baseline=peft.rank=3 is no cell of this sweep"),
        ("optim.lr=0.1", "baseline=optim.lr=0.1 is more than one cell of this sweep"),
        ("seed=1", "baseline=seed=1 is no cell of this sweep"),
    ],
)
def test_a_wrong_baseline_is_refused_before_the_first_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], baseline: str, words: str
) -> None:
    given = sweep(tmp_path / "new", baseline, "peft.rank=1,2", "optim.lr=0.1", "seed=0,1", "device=cpu")
    with pytest.raises(SystemExit) as stopped:
        SweepReport().on_multirun_start(given)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
    assert SweepReport.started is None
    assert not list(tmp_path.iterdir())


def test_a_baseline_that_will_be_there(tmp_path: Path) -> None:
    for given in (
        sweep(tmp_path, "peft.rank=2", "peft.rank=1,2", "seed=range(3)"),
        sweep(tmp_path, "peft.rank=2", "seed=0,1", **{"peft.rank": "1,2"}),
        sweep(tmp_path, "placement.position=[q, v]", "placement.position=q,[q,v]"),
        sweep(tmp_path, "peft=ia3", "peft=glob(*)"),  # Hydra alone knows
        sweep(
            grid(tmp_path / "good", (0,)), "placement.depth=0-2,placement.position=q", "placement.depth=9,10"
        ),
        sweep(tmp_path, None, "seed=0,1"),
    ):
        SweepReport().on_multirun_start(given)
        assert SweepReport.started is given
