"""A folder that a run came to its end in, and no other."""

import json

import pytest

from peftlab.errors import UserError
from peftlab.record.finished import NEEDED, finished_run


def folder_of(path, state=None, without=()):
    path.mkdir()
    for name in set(NEEDED) - set(without):
        (path / name).write_text("")
    if state is not None:
        (path / "status.json").write_text(state)
    return path


@pytest.mark.parametrize("state", [None, '{"state": "ok"}', '{"state": "diverged"}'])
def test_finished(tmp_path, state):
    path = folder_of(tmp_path / "run", state)
    assert finished_run(str(path)) == path


@pytest.mark.parametrize("state", ["running", "failed", "interrupted", "stopped"])
def test_not_finished(tmp_path, state):
    path = folder_of(tmp_path / "run", json.dumps({"state": state}))
    with pytest.raises(
        UserError, match=rf"not finished \(state: {state}\); legal: the folder of a finished run"
    ):
        finished_run(str(path))


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_status_that_says_nothing(tmp_path, text):
    with pytest.raises(UserError, match=r"\(state: unreadable\)"):
        finished_run(str(folder_of(tmp_path / "run", text)))


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file(tmp_path, name):
    with pytest.raises(UserError, match=f"has no {name}"):
        finished_run(str(folder_of(tmp_path / "run", without=[name])))


def test_another_folder(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        finished_run(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        finished_run(str(tmp_path / "file"))
