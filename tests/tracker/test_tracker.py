"""Every tracker has the calls of the protocol, with its signatures."""

import inspect

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
