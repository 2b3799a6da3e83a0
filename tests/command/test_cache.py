"""`peftlab-data cache` lists and removes what is ours."""

from pathlib import Path

import pytest

from peftlab.command.data import main
from peftlab.inputs.cache import save_bytes

HEAD = "cache: {}, at most 50 GiB (PEFTLAB_CACHE_GB)\n"


def test_it_is_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path))
    save_bytes("start", "k", b"1")
    (tmp_path / "start" / "mine.txt").touch()
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{HEAD.format(tmp_path)}start: 1 files, 0.0 MiB\n"
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out.endswith("removed: 1 files\n")
    assert [file.name for file in tmp_path.rglob("*.*")] == ["mine.txt"]
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == HEAD.format(tmp_path)


def test_none_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == "cache: off (PEFTLAB_CACHE)\n"
