"""Which files of a folder a report may write over."""

from pathlib import Path

import pytest
from fixtures.sweep import grid

from peftlab.errors import UserError
from peftlab.report.own import check_own
from peftlab.report.report import write_report


def test_an_empty_folder_and_what_a_report_wrote(tmp_path: Path) -> None:
    check_own(tmp_path)
    folder = grid(tmp_path / "sweep", (0, 1))
    write_report(folder, baseline=None)
    assert {"sweep.csv", "cells.csv", "table.md", "heatmap.png"} <= {path.name for path in folder.iterdir()}
    check_own(folder)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sweep.csv", b"a,b\n1,2\n"),
        ("sweep.csv", b""),
        ("sweep.csv", b"job,name\n"),
        ("cells.csv", b"x,y\n"),
        ("table.md", b"# Notes\n"),
        ("table.md", b"| a | b |\n"),
        ("table.md", b"\xff\xfe"),
        ("heatmap.png", b"x"),
        ("heatmap-q-1a2b3c.png", b"x"),
        ("scatter.png", b"x"),
    ],
)
def test_what_it_did_not(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match="is not of a sweep's report, so it is not written over"):
        check_own(tmp_path)
