"""No tracker does nothing, with the signatures of the other one."""

import inspect
import os
import sys

import pytest

from peftlab.tracker.none import NoTracker
from peftlab.tracker.tracker import Tracker
from peftlab.tracker.wandb import WandbTracker

CALLS = ("start", "log", "table", "image", "finish")


def public(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}


@pytest.mark.parametrize("tracker", [NoTracker, WandbTracker])
def test_one_interface(tracker):
    assert public(tracker) == public(Tracker) == set(CALLS)
    for name in CALLS:
        assert inspect.signature(getattr(tracker, name)) == inspect.signature(getattr(Tracker, name))


def test_does_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would raise
    before = dict(os.environ)
    tracker = NoTracker()
    tracker.start(run_id="a", name="b", group=None, tags=[], config={}, folder=tmp_path / "run")
    tracker.log({"train/loss": 1.0}, step=1)
    tracker.table("t", ["a"], [[1]])
    tracker.image("i", tmp_path / "missing.png")
    tracker.finish({}, exit_code=0)
    assert vars(tracker) == {}
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
