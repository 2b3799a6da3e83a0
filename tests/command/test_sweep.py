"""The console script: exit code 0, 1 or 2, the report's files, and one sentence for a wrong input."""

from pathlib import Path

import pytest
from fixtures.sweep import grid, put

from peftlab.command.sweep import main


@pytest.mark.usefixtures("drawn")
def test_main(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(broken)]) == 1
    assert str(broken / "sweep.csv") in capsys.readouterr().out
    assert (
        main([str(grid(tmp_path / "good", (0,))), "--baseline", "placement.depth=0-2,placement.position=q"])
        == 0
    )


def test_every_file_that_is_named_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        put(tmp_path / f"job{seed}", "ok", {"peft": "lora"}, seed, result={"metrics": {"test/mean_acc": 0.5}})
    assert main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    named = [Path(line) for line in out.splitlines() if line.startswith(str(tmp_path))]
    assert [file.name for file in named] == ["sweep.csv", "cells.csv", "table.md"]
    assert all(file.stat().st_size for file in named)
    assert err == ""


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "peftlab-sweep: folder=nowhere does not exist; legal is the folder of a sweep.\n"),
        (
            ["{}", "--baseline", "a=1"],
            "peftlab-sweep: baseline=a=1 is no cell of this sweep; legal are placement.depth=",
        ),
    ],
)
def test_main_answers_a_wrong_input_in_one_sentence(
    broken: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([argument.format(broken) for argument in arguments])
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(sentence)


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), ([], 2), (["a", "--nosuch"], 2)])
def test_a_wrong_word_is_exit_code_2(capsys: pytest.CaptureFixture[str], words: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == code
    streams = capsys.readouterr()
    if code:
        assert streams.err.startswith("peftlab-sweep: ")
        assert streams.err.endswith("; peftlab-sweep --help lists what is legal\n")
    else:
        assert "peftlab-sweep [-h] [--version] [--baseline BASELINE]" in streams.out
        assert "[--json]" in streams.out
