"""The JSON of a report: its keys are promised in docs/sweeps.md."""

import json
from pathlib import Path

import pytest

from peftlab.command.sweep import main
from peftlab.report.plain_report import SCHEMA


@pytest.mark.usefixtures("drawn")
def test_the_schema(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(broken), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["schema", "exit_code", "count", "baseline", "cells", "runs", "notes", "files"]
    assert found["schema"] == SCHEMA == 1
    assert sum(found["count"].values()) == len(found["runs"]) == 72
    assert list(found["cells"][0]) == ["choices", "count", "metrics", "differences"]
    assert list(found["cells"][0]["metrics"]["mean_acc"]) == ["value", "low", "high"]
    assert list(found["runs"][0]) == ["folder", "state", "choices", "seed", "metrics", "wall_s", "error"]
    failed = next(run for run in found["runs"] if run["state"] == "failed")
    assert failed["error"] == "CUDA out of memory [q,v]"
    baseline = next(cell for cell in found["cells"] if cell["choices"] == found["baseline"])
    assert baseline["differences"]["mean_acc"]["value"] == 0
