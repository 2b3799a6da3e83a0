"""What strangers wrote does nothing wherever it is shown: terminal, Markdown, CSV, pictures."""

import csv
import json
from pathlib import Path

import pytest

from peftlab.errors import say
from peftlab.record.table import table_text
from peftlab.report.report import write_report
from peftlab.report.table import print_table

HOSTILE = [
    "\x1b[31mred\x1b]0;title\x07", "a\u202eb", "[bold]x[/bold]", "[/]", "$\\frac{1}{0}$ $x_", "=cmd|' /C calc'!A0",
    "<img src=x onerror=alert(1)>", "a|b`c`", "![x](http://e/)", "\r\nnew", "\udcff", "名",
]  # fmt: skip


def job(root: Path, number: int, name: str) -> None:
    folder = root / f"job{number}"
    folder.mkdir()
    names = ("mean", "head", "medium", "tail")
    metrics = {f"test/{key}_acc{end}": 0.5 for key in names for end in ("", "_low", "_high")}
    said = {
        "state": "ok",
        "number": number,
        "choices": {"peft": name, "placement.depth": name},
        "error": name,
    }
    (folder / "status.json").write_text(json.dumps(said))
    (folder / "result.json").write_text(json.dumps({"state": "ok", "format": 2, "metrics": metrics}))


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_report(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also its pictures, which warn of nothing."""
    for number, other in enumerate((name, f"{name}2")):
        job(tmp_path, number, other)
    report = write_report(tmp_path, baseline=None)
    print_table(report)
    table = (tmp_path / "table.md").read_text()
    for text in (table, capsys.readouterr().out):
        assert not [letter for letter in text if letter != "\n" and not letter.isprintable()]
    rows = [line for line in table.splitlines() if line]
    assert len(rows) == 4, "no line of its own"
    assert "<img" not in table
    assert "[x](" not in table
    with (tmp_path / "sweep.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
    assert list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    "text", ["=1+1", "@x", "+cmd()", "-cmd()", " =x", "\t=x", "\r=x", "-2+cmd|' /C calc'!A0"]
)
def test_a_formula_in_a_csv_is_text(text: str) -> None:
    assert table_text([[text]]).lstrip('"').startswith("'")


@pytest.mark.parametrize("text", ["-1", "-3--1", "+0.5", "cat", "-1,2", "", "0-2", "a=b"])
def test_numbers_and_ranges_stay(text: str) -> None:
    assert next(csv.reader([table_text([[text, -1.5, None]])])) == [text, "-1.5", ""]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"peftlab: {name} is not legal")
    said = capsys.readouterr().err
    assert said.endswith(" is not legal\n")
    assert said[:-1].isprintable()
