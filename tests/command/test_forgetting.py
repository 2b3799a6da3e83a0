"""peftlab-forgetting: a line for each run, the table, and one sentence for a wrong input."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from peftlab.command.forgetting import COLUMNS, main

SOURCE = ("--source", "digits", "dataset.max_per_class=10")


def test_runs_and_folders_of_runs_are_lines_and_rows(
    run_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("linear_probe", "lora"):
        run_folder(name)  # run0 and run1
    out = tmp_path / "new" / "table.csv"
    assert main([str(tmp_path), str(tmp_path / "run1"), *SOURCE, "--csv", str(out)]) == 0
    head, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert tuple(head) == COLUMNS
    assert [line[0] for line in lines] == ["run0", "run1", "run1"]
    assert lines[0][4] == "0.00"
    assert lines[1] == lines[2]
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [f"{100 * float(row['after']):.2f}" for row in rows] == [line[2] for line in lines]
    assert float(rows[1]["forgotten"]) == pytest.approx(float(rows[1]["before"]) - float(rows[1]["after"]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", *SOURCE), "nowhere is not a folder; legal: the folder of a finished run"),
        ((".", *SOURCE), ". is not the folder of a run"),
        ((".", "--source", "digit"), "dataset=digit"),
        ((".", "--source", "digits", "dataset.max_per_class=0"), "dataset.max_per_class=0"),
        ((".",), "the following arguments are required: --source"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("peftlab-forgetting: ")
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_run_without_its_model_is_left_out_and_told(
    run_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder("lora")
    (run_folder("lora") / "adapter.safetensors").unlink()
    assert main([str(tmp_path), *SOURCE]) == 0
    printed = capsys.readouterr()
    assert "left out" in printed.err
    assert "run1" in printed.err
    assert len(printed.out.splitlines()) == 2
