"""No tracker does nothing."""

import os
import sys
from contextlib import contextmanager

from peftlab.tracker.none import NoTracker
from peftlab.tracker.tracker import Opening


@contextmanager
def unwanted():
    raise AssertionError("a picture is drawn")
    yield


def test_does_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would raise
    before = dict(os.environ)
    tracker = NoTracker()
    tracker.start(Opening("a", "b", None, "run", (), {}, tmp_path / "run"))
    tracker.log({"train/loss": 1.0}, step=1)
    tracker.table("t", ["a"], [[1]], step=1)
    tracker.image("i", unwanted(), step=1)
    tracker.page("p", tmp_path / "index.html", step=1)
    tracker.finish({}, exit_code=0)
    assert vars(tracker) == {}
    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
