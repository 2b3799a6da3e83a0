"""Where a set of the hub's layout is."""

from pathlib import Path

import pytest

from peftlab.dataset.source.where import Where, place_of
from peftlab.errors import UserError


def test_a_folder_then_the_variable_then_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    (tmp_path / "own").mkdir()
    assert place_of(str(tmp_path), "a/b", "own") == Where(tmp_path)
    assert place_of(None, "a/b", "own") == Where(tmp_path / "own")
    assert place_of(None, "a/b", "other")[:2] == (None, "a/b")
    assert place_of("c/d", "a/b", "own")[:2] == (None, "c/d")


@pytest.mark.parametrize("path", ["", "  ", "/nope", "./nope", "~/nope", "nope", "a/b/c", "a/", "../a"])
def test_neither_a_folder_nor_a_name(path: str) -> None:
    with pytest.raises(UserError, match=r"^dataset\.path.*; legal: an existing folder, (or )?a hub id"):
        place_of(path, "a/b", None)


def test_nothing_to_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)
    for folder, words in ((None, "names no data set"), ("own", "the set own was not found")):
        with pytest.raises(UserError, match=words):
            place_of(None, None, folder)
