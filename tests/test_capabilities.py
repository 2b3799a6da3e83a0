"""docs/methods.md has the tables that the code gives today, and a row for every method."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fixtures.scripts import script_of

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "methods.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_of("capabilities")


MAKE = "import sys; from pathlib import Path; from capabilities import *; sys.stdout.write(page(Path(sys.argv[1]).read_text(), methods()))"


@pytest.mark.slow
def test_the_page_is_what_the_code_gives() -> None:
    """As the script runs, without the annotations that are executed in the tests: they take as long again."""
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
    made = subprocess.run(
        [sys.executable, "-c", MAKE, PAGE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == PAGE.read_text(), "run python scripts/capabilities.py"


def test_every_method_is_explained_and_in_both_tables(script: ModuleType) -> None:
    starts = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {name for name in script.methods() if starts.count(f"`{name}`") != 3} == set()
