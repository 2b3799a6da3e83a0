"""What only this room does, and what it may know: read from the sources."""

import re
from pathlib import Path

import pytest

import peftlab

PACKAGE = Path(str(peftlab.__file__)).parent
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize(
    ("pattern", "homes"),
    [
        (
            r"os\.replace\(",
            {"record/whole_file.py", "export/publish.py", "model/packaged.py", "inputs/cache.py"},
        ),  # a file; a whole folder of a run, and of a model; what is no record
        (r"csv\.(writer|DictWriter)", {"record/table.py"}),
        (r'/ "status\.json"', set()),  # read_status knows where it stands
        (r"(_new_resolver|version_base|execution_whitelist|hydra\.__version__)", {"config/hydra_version.py"}),
        (r'safe_load\(.*"config\.yaml"', set()),  # read_config knows which version wrote it
    ],
)
def test_there_is_one_home(pattern: str, homes: set[str]) -> None:
    assert {file for file, text in SOURCES.items() if re.search(pattern, text)} == homes


@pytest.mark.parametrize("file", sorted(file for file in SOURCES if file.startswith("record/")))
def test_a_record_knows_nothing_of_what_it_records(file: str) -> None:
    rooms = set(re.findall(r"(?:from|import) peftlab\.(\w+)", SOURCES[file]))
    allowed = {"errors", "inputs", "record"} | ({"build"} if file == "record/checkpoint.py" else set())
    assert rooms <= allowed
