"""A report whose numbers have not changed draws nothing, whatever its index says."""

from pathlib import Path

import pytest

from peftlab.report.drawn import FILE, drawn


def test_pictures_are_drawn_when_what_they_show_or_they_have_changed(tmp_path: Path) -> None:
    path, calls = tmp_path / "a.png", list[int]()

    def draw() -> list[Path]:
        calls.append(1)
        path.write_bytes(b"picture")
        return [path]

    def number(shown: str) -> int:
        assert drawn(tmp_path, shown, draw) == [path]
        return len(calls)

    assert [number("1"), number("1"), number("2"), number("2")] == [1, 1, 2, 2]
    path.unlink()
    assert number("2") == 3
    path.write_bytes(b"other")
    assert number("2") == 4
    for content in (b"", b"\xff", b'{"shown": 1, "files": {"a.png": []}}', b"[]"):
        (tmp_path / FILE).write_bytes(content)
        before = len(calls)
        assert [number("2"), number("2")] == [before + 1, before + 1]


def test_what_was_not_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[int]()

    def draw() -> list[Path]:
        calls.append(1)
        return [tmp_path / "never.png"]

    for _ in range(2):
        drawn(tmp_path, "1", draw)
    assert len(calls) == 2
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()  # no file can be written there
    assert drawn(tmp_path, "1", draw) == [tmp_path / "never.png"]
