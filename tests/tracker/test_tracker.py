"""Every tracker that a config can name has the calls of the protocol, with its signatures."""

import inspect
from importlib import import_module

import pytest
import yaml

from peftlab.config.directory import config_dir
from peftlab.tracker.tracker import Tracker

CALLS = ("start", "log", "table", "image", "finish")
NODES = {path.stem: yaml.safe_load(path.read_text()) for path in (config_dir() / "tracker").glob("*.yaml")}


def public(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}


def test_the_trackers_are_found():
    assert {"none", "wandb"} <= NODES.keys()


@pytest.mark.parametrize("name", NODES)
def test_one_interface(name):
    module, _, kind = NODES[name]["_target_"].rpartition(".")
    tracker = getattr(import_module(module), kind)
    assert public(tracker) == public(Tracker) == set(CALLS)
    for call in CALLS:
        assert inspect.signature(getattr(tracker, call)) == inspect.signature(getattr(Tracker, call))
    options = {key: value for key, value in NODES[name].items() if key != "_target_"}
    assert isinstance(tracker(**options), Tracker)


@pytest.mark.parametrize("lost", CALLS)
def test_what_lacks_a_call_is_no_tracker(lost):
    part = type("Part", (), {call: getattr(Tracker, call) for call in CALLS if call != lost})
    assert not isinstance(part(), Tracker)
