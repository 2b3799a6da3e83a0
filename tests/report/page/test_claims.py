"""The section of claims, and the words of the command line that bring them there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.study import put_run, study_of

from peftlab.command.report import main
from peftlab.command.sweep import main as sweep
from peftlab.report.page.claims import section


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, level in (("a", 0.5), ("b", 0.7), ("c", 0.6)):
        for seed in range(3):
            metrics = {"mean_acc": level + 0.02 * seed + 0.001 * (seed == 1) * (name == "a")}
            put_run(tmp_path / "sweep", {"peft": name}, seed, metrics)
    return tmp_path / "sweep"


def test_a_row_for_each_claim(folder: Path) -> None:
    assert section(study_of(folder)) is None
    found = section(replace(study_of(folder), claims=("peft=b > peft=a", "peft=a > peft=c @mean")))
    assert found is not None
    assert [[entry.text for entry in row[:3]] for row in found.tables[0].rows] == [
        ["b > a", "mean", "holds"],
        ["a > c", "mean", "the other way round"],
    ]
    assert found.tables[0].rows[0][3].value == pytest.approx(20 - 0.1 / 3)
    assert found.words[0].startswith("**1 of 2 claims** hold at 5 %")


def test_one_seed_is_told_so(tmp_path: Path) -> None:
    for name in "ab":
        put_run(tmp_path / "sweep", {"peft": name}, 0, {"mean_acc": 0.5})
    found = section(replace(study_of(tmp_path / "sweep"), claims=("peft=b > peft=a",)))
    assert found is not None
    assert "a difference needs two common seeds" in found.words[0]


@pytest.mark.usefixtures("drawn")
def test_the_words_of_both_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (main, sweep):
        with pytest.raises(SystemExit) as stop:
            command([str(folder), "--claim", "peft=b > peft=x"])
        assert stop.value.code == 2
    assert "claim=peft=b > peft=x: peft=x is no cell of this sweep" in capsys.readouterr().err
    assert not (folder / "report").exists()
    assert main([str(folder), "--claim", "peft=b > peft=a", "--claim", "peft=c>peft=a@mean"]) == 0
    assert "b > a" in (folder / "report" / "tables" / "claims.csv").read_text()
    assert sweep([str(folder), "--claim", "peft=b > peft=a"]) == 0
    assert "claim: peft=b > peft=a in mean: holds; +20.0" in capsys.readouterr().out
    assert sweep([str(folder), "--claim", "peft=b > peft=a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["verdict"] == "holds"
    assert sweep([str(folder), "--claim", "peft=b > peft=a", "--plan", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("claim: ")
