"""What docs/results shows is made again from the records beside it."""

import shutil
from pathlib import Path

import pytest

from peftlab.command.report import main as report
from peftlab.command.runs import main as runs

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PACKS = sorted(path.parent.name for path in RESULTS.glob("*/runs.tar.xz"))


def title(page: Path) -> str:
    return page.read_text().split("\n", 1)[0].removeprefix("# ")


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKS)
def test_a_report_is_made_again_from_its_records(name: str, tmp_path: Path) -> None:
    """Tables to the last byte, numbers and words; of the pictures, that each is drawn."""
    there = RESULTS / name
    assert runs(["unpack", str(there / "runs.tar.xz"), str(tmp_path / "runs")]) == 0
    again = tmp_path / "again"
    assert (
        report(
            [str(tmp_path / "runs"), "--out", str(again), "--no-links", "--title", title(there / "report.md")]
        )
        == 0
    )
    shutil.copy(there / "runs.tar.xz", again)
    listed = [sorted(str(path.relative_to(own)) for path in own.rglob("*")) for own in (there, again)]
    assert listed[0] == listed[1]
    for path in [there / "report.md", *(there / "tables").iterdir()]:
        assert path.read_bytes() == (again / path.relative_to(there)).read_bytes(), path.name


def test_there_are_records() -> None:
    assert "text_alpha" in PACKS
