"""Seeds for a difference, from a pilot of known noise."""

from pathlib import Path

import numpy as np
import pytest
from fixtures.sweep import grid, put

from peftlab.command.sweep import main
from peftlab.errors import UserError
from peftlab.report.planned import plan_lines
from peftlab.report.report import write_report


def pilot(folder: Path, noise: float) -> Path:
    rng = np.random.default_rng(0)
    for cell in range(12):
        for seed in range(4):
            value = 0.5 + 0.02 * cell + noise * rng.normal()
            result = {"metrics": {"test/mean_acc": value}, "headline": ["mean_acc"]}
            put(folder / f"{cell}-{seed}", "ok", {"peft.rank": str(cell)}, seed, result=result)
    return folder


def test_the_more_noise_the_more_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = []
    for noise in (0.01, 0.02):
        assert main([str(pilot(tmp_path / str(noise), noise)), "--plan", "2.0"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "paired seeds for a true difference of 2, found with 80 % at the 95 % level"
        (row,) = [line.split() for line in lines if line.strip().startswith("mean")]
        assert float(row[1]) == pytest.approx(100 * noise, rel=0.3)
        one, high, baseline, _, pairs, _ = row[2:]
        assert int(one) <= int(baseline) <= int(pairs)
        assert int(one) <= int(high.strip("()"))
        numbers.append(int(one))
    assert numbers[1] == pytest.approx(4 * numbers[0], abs=4), "twice the noise, four times the seeds"


@pytest.mark.parametrize("points", [0.0, -1.0, float("nan"), float("inf")])
def test_no_difference_is_refused(tmp_path: Path, points: float) -> None:
    report = write_report(pilot(tmp_path, 0.01), baseline=None)
    with pytest.raises(UserError, match="percentage points above 0"):
        plan_lines(report, points)


@pytest.mark.usefixtures("drawn")
def test_one_seed_is_no_pilot(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a pilot"):
        plan_lines(write_report(grid(tmp_path / "sweep", (0,)), baseline=None), 1.0)
