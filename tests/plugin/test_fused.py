"""hydra/launcher=fused from the command line: the same folders, the same report, the same exit codes as Hydra's own launcher."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peftlab.build import trunk
from peftlab.command.train import main
from peftlab.dataset.dataset import Dataset

WORDS = ("backbone=tiny", "device=cpu", "fit.epochs=1", "fit.batch_size=64", "placement.depth=0,1")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["peftlab", "-m", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def metrics(folder: Path) -> dict[str, dict[str, float]]:
    return {
        path.parent.name: json.loads(path.read_text())["metrics"]
        for path in sorted(folder.glob("*/result.json"))
    }


def test_a_sweep_of_cells_is_the_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for launcher, more in (
        ("basic", ()),
        ("fused", ()),
        ("fused", ("hydra.launcher.max_cells=1", "hydra.sweep.dir=few")),
    ):
        words = (*WORDS, f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}", *more)
        assert run(monkeypatch, *words) == 0
    said = capfd.readouterr()
    assert said.err.count("fused: 2 jobs on one trunk") == 1
    assert metrics(tmp_path / "fused") == metrics(tmp_path / "basic") == metrics(tmp_path / "few")
    assert len(metrics(tmp_path / "fused")) == 2
    tables = [(tmp_path / name / "sweep.csv").read_text().splitlines()[0] for name in ("fused", "basic")]
    assert tables[0] == tables[1]
    assert run(monkeypatch, *WORDS, "hydra/launcher=fused", "hydra.sweep.dir=fused") == 0
    assert "2 of 2 runs finished before" in capfd.readouterr().err


def test_each_cell_opens_its_test_split_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The trunk, and so the data set, is that of both."""
    opened: list[str] = []
    make = trunk.open_dataset

    def watched(*arguments: Any) -> Dataset:
        dataset = make(*arguments)
        return replace(dataset, open_test=lambda: opened.append("test") or dataset.open_test())

    monkeypatch.setattr(trunk, "open_dataset", watched)
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *WORDS, "hydra/launcher=fused", "seed=5") == 0
    assert opened == ["test", "test"]


def test_one_wrong_job_is_exit_code_1_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (*WORDS, "peft.rank=0,2", "hydra/launcher=fused", "hydra.sweep.dir=sweep")
    assert run(monkeypatch, *words) == 1
    assert len(metrics(tmp_path / "sweep")) == 2
    states = [json.loads(path.read_text())["state"] for path in (tmp_path / "sweep").glob("*/status.json")]
    assert sorted(states) == ["failed", "failed", "ok", "ok"]


def test_a_wrong_bound_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *WORDS, "hydra/launcher=fused", "hydra.launcher.max_cells=0") == 2
    assert "hydra.launcher.max_cells=0 is not legal; legal: a whole number above 0" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())
