"""The console script: exit code 0, 1 or 2, and one sentence for a wrong input."""

from pathlib import Path

import pytest
from fixtures.sweep import grid

from peftlab.command.sweep import main


def test_main(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(broken)]) == 1
    assert str(broken / "sweep.csv") in capsys.readouterr().out
    assert (
        main([str(grid(tmp_path / "good", (0,))), "--baseline", "placement.depth=0-2,placement.position=q"])
        == 0
    )


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("arguments", [["nowhere"], ["{}", "--baseline", "a=1"]])
def test_main_answers_a_wrong_input_in_one_sentence(
    broken: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main([argument.format(broken) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Traceback" not in err
