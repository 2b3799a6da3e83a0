"""The line of a job that has ended, from the end of its rows."""

from pathlib import Path

import pytest

from peftlab.engine.table import Shown, Table, moment


def test_a_run_is_shown_by_its_last_rows(tmp_path: Path) -> None:
    assert moment(tmp_path / "none") == ("starting", "", "", "")
    rows = '{"epoch": 1.0, "train/loss": 2.5}\n{"epoch": 1.0, "val/mean_acc": 0.25}\n{"epoch": 1.5, "train/loss": 2}\n{"ep'
    (tmp_path / "metrics.jsonl").write_text(rows)
    (tmp_path / "status.json").write_text('{"state": "running"}')
    assert moment(tmp_path) == ("running", "1.50", "2.0000", "0.250")


def test_without_a_terminal_each_end_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "status.json").write_text('{"state": "ok"}')
    with Table(2) as table:
        table.show([Shown("core 0", tmp_path)])
        table.ended(tmp_path)
    assert capsys.readouterr().out == f"1 of 2 jobs, about 0:00:00 left: {tmp_path.name} ok\n"
