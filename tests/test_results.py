"""What docs/results shows is made again from the records beside it."""

import csv
import math
import shutil
from pathlib import Path

import pytest

from peftlab.command.report import main as report
from peftlab.command.runs import main as runs

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PACKS = sorted(path.parent.name for path in RESULTS.glob("*/runs.tar.xz"))


def is_same(first: str, second: str) -> bool:
    """A cell of two tables: the same word, or a number that differs in no more than the last bits, as processors do."""
    try:
        return first == second or math.isclose(float(first), float(second), rel_tol=1e-9, abs_tol=1e-12)
    except ValueError:
        return False


def check_same_table(first: Path, second: Path) -> None:
    with first.open(newline="") as one, second.open(newline="") as other:
        rows = list(zip(csv.reader(one), csv.reader(other), strict=True))
    differ = [(a, b) for row in rows for a, b in zip(*row, strict=True) if not is_same(a, b)]
    assert not differ, f"{first.name}: {differ[:5]}"


def title(page: Path) -> str:
    return page.read_text().split("\n", 1)[0].removeprefix("# ")


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKS)
def test_a_report_is_made_again_from_its_records(name: str, tmp_path: Path) -> None:
    """Texts to the last byte, tables to the ninth digit; of the pictures, that each is drawn."""
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
        made = again / path.relative_to(there)
        if path.suffix == ".csv":
            check_same_table(path, made)
        else:
            assert path.read_bytes() == made.read_bytes(), path.name


def test_what_is_not_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("cell,mean\nq,0.5156886403866158\nk,\n")
    second.write_text("cell,mean\nq,0.5156886403866155\nk,\n")
    check_same_table(first, second)
    for wrong in ("q,0.51568865\nk,", "v,0.5156886403866158\nk,", "q,\nk,", "q,0.5156886403866158\nk,0.0"):
        second.write_text(f"cell,mean\n{wrong}\n")
        with pytest.raises(AssertionError, match=r"first\.csv"):
            check_same_table(first, second)
    second.write_text("cell,mean\nq,0.5156886403866158\n")
    with pytest.raises(ValueError, match="shorter"):
        check_same_table(first, second)


def test_there_are_records() -> None:
    assert "text_alpha" in PACKS
