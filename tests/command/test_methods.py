"""The table of methods and backbones."""

import subprocess
import sys

import pytest

from peftlab.command.methods import main


def test_printed_table(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["swin_tiny_patch4_window7_224.ms_in1k", "vit_tiny_patch8_32"]
    assert main(["--method", "vpt_shallow", "bitfit", "--backbone", *chosen]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.replace(" ", "").startswith("│vpt_shallow│[1]│1,920│") for line in lines)
    assert any(line.startswith("[1] peft: prompt acts at tokens") for line in lines)


@pytest.mark.parametrize(
    ("words", "group"), [(["--method", "lorra"], "peft"), (["--backbone", "vit"], "backbone")]
)
def test_a_wrong_name_is_one_sentence(
    words: list[str], group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"peftlab-methods: {group}={words[1]} cannot be listed; legal: "
    )


def test_nothing_heavy_before_the_table() -> None:
    code = "import sys, peftlab.command.methods; assert not {'torch', 'timm', 'hydra'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
