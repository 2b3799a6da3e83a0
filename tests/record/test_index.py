"""An index is lines: what cannot be read is not there."""

from pathlib import Path

import pytest

from peftlab.record import index
from peftlab.record.index import note, noted


def test_the_last_line_of_a_key_is_what_was_noted(tmp_path: Path) -> None:
    path = tmp_path / "index"
    for run in ("a", "b"):
        note(path, {"asked": "1", "run": run})
    note(path, {"asked": "2", "run": "c"})
    assert noted(path, "asked") == {"1": {"asked": "1", "run": "b"}, "2": {"asked": "2", "run": "c"}}
    assert noted(path, "run").keys() == {"a", "b", "c"}


def test_damage_costs_the_lines_that_it_hits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index"
    assert noted(path, "asked") == {}
    path.write_bytes(b'\xff\x00[1]\n"x"\n{"asked": 3}\n{"asked": "1", "ru')
    note(path, {"asked": "2"})
    assert noted(path, "asked") == {"2": {"asked": "2"}}
    monkeypatch.setattr(index, "MAX_BYTES", 10)
    assert noted(path, "asked") == {}
    note(tmp_path / "nowhere" / "index", {"asked": "2"})
