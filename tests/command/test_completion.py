"""Completion of the shell, as bash asks for it: through the console script, with COMP_LINE and COMP_POINT."""

import os
import shutil
import subprocess

import pytest

PEFTLAB = shutil.which("peftlab")
pytestmark = pytest.mark.skipif(PEFTLAB is None, reason="the console script is not installed")


def answer(line: str) -> set[str]:
    given = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}
    words = [str(PEFTLAB), "-sc", "query=bash"]
    done = subprocess.run(words, env=given, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("peftlab pe", {"peft=", "peft."}),
        ("peftlab peft=vpt", {"peft=vpt_deep", "peft=vpt_shallow"}),
        ("peftlab peft=lora peft.", {"peft.rank=", "peft.dropout="}),
        ("peftlab scaling=meta scaling.outer.", {"scaling.outer.every=", "scaling.outer.dropout="}),
        ("peftlab -m backbone=vit_ti", {"backbone=vit_tiny_patch8_32"}),
    ],
)
def test_groups_choices_and_keys(line: str, some: set[str]) -> None:
    found = answer(line)
    assert some <= found
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)


@pytest.mark.slow
def test_what_bash_evaluates() -> None:
    script = 'eval "$(peftlab -sc install=bash)" && complete -p peftlab'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert "hydra_bash_completion" in done.stdout
