"""docs/methods.md has the tables that the code gives today, and a row for every method."""

from pathlib import Path
from types import ModuleType

import pytest
from fixtures.scripts import script_of

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "methods.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return script_of("capabilities")


@pytest.mark.slow
def test_the_page_is_what_the_code_gives(script: ModuleType) -> None:
    text = PAGE.read_text()
    assert script.page(text, script.methods()) == text, "run python scripts/capabilities.py"


def test_every_method_is_explained_and_in_both_tables(script: ModuleType) -> None:
    starts = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {name for name in script.methods() if starts.count(f"`{name}`") != 3} == set()
