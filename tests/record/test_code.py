"""Which code wrote a record: against git itself, in repositories made for it."""

import platform
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import peftlab
from peftlab.record import code as file
from peftlab.record.code import LIBRARIES, code


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """`at("commit", ...)`: git in a checkout with a package and configs, where the code is taken to be."""
    for path in ("peftlab/lora.py", "configs/lora.yaml", "notes.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("one")
    own = {"user.name": "a", "user.email": "a@b", "commit.gpgsign": "false", "core.hooksPath": "/dev/null"}
    more = [word for key, value in own.items() for word in ("-c", f"{key}={value}")]

    def git(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), *more, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    monkeypatch.setattr(file, "ROOT", tmp_path)
    code.cache_clear()
    yield git
    code.cache_clear()


def now() -> tuple[str | None, bool | None]:
    code.cache_clear()
    return code()["commit"], code()["dirty"]


def test_a_clean_checkout_and_what_makes_it_dirty(at: Callable[..., str], tmp_path: Path) -> None:
    commit = at("rev-parse", "HEAD")
    assert now() == (commit, False)
    (tmp_path / "notes.txt").write_text("two")
    (tmp_path / "outputs").mkdir()
    assert now() == (commit, False), "what is no code changes no number"
    for path in ("peftlab/lora.py", "configs/new.yaml"):
        (tmp_path / path).write_text("two")
        assert now() == (commit, True)
        at("add", ".")
        assert now() == (commit, True)
        at("commit", "-q", "-m", path)
        commit = at("rev-parse", "HEAD")
        assert now() == (commit, False)


def test_nothing_is_written_to_the_checkout(at: Callable[..., str], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    (tmp_path / "peftlab" / "lora.py").touch()
    now()
    touched = {tmp_path / "peftlab" / "lora.py"}
    assert {p for p in tmp_path.rglob("*") if before.get(p) != p.stat().st_mtime_ns} == touched


@pytest.mark.usefixtures("at")
def test_an_installed_package_has_no_commit_even_inside_of_another_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(file, "ROOT", tmp_path / "site-packages")
    assert now() == (None, None)


@pytest.mark.usefixtures("at")
def test_without_git_or_with_a_broken_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".git" / "HEAD").write_text("?")
    assert now() == (None, None)
    monkeypatch.setenv("PATH", "")
    assert now() == (None, None)


def test_versions_are_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    code.cache_clear()
    versions = code()["versions"]
    assert versions["python"] == platform.python_version()
    assert versions["torch"] == torch.__version__.partition("+")[0]
    assert versions["peftlab"] == peftlab.__version__
    assert versions.keys() == {"peftlab", "python", *LIBRARIES}
    monkeypatch.setattr(file, "LIBRARIES", ("no_such_library",))
    code.cache_clear()
    assert code()["versions"]["no_such_library"] is None
    code.cache_clear()
