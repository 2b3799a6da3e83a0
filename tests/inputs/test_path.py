"""Paths as people type them."""

from pathlib import Path

import pytest

from peftlab.inputs.path import expanded


def test_home_is_expanded_and_a_stranger_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"
    assert expanded("~nobody-here/a") == Path("~nobody-here/a")
    assert expanded("a b") == Path("a b")
