"""Every tracker that a config can name has the calls of the protocol, and none of them ends a run."""

import inspect
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from peftlab.config.compose import composed
from peftlab.config.directory import names_of
from peftlab.config.resolve import choice
from peftlab.tracker.tracker import Opening, Safe, Tracker

CALLS = ("start", "log", "table", "image", "page", "finish")
NODES = sorted(names_of("tracker"))


def public(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}


def test_the_trackers_are_found():
    assert {"none", "several", "trackio", "wandb"} <= set(NODES)


@pytest.mark.parametrize("name", NODES)
def test_one_interface(name):
    chosen = choice(composed(f"tracker={name}")["tracker"])
    tracker = chosen.function
    assert public(tracker) == public(Tracker) == set(CALLS)
    for call in CALLS:
        assert inspect.signature(getattr(tracker, call)) == inspect.signature(getattr(Tracker, call))
    assert isinstance(chosen(), Tracker)


@pytest.mark.parametrize("lost", CALLS)
def test_what_lacks_a_call_is_no_tracker(lost):
    part = type("Part", (), {call: getattr(Tracker, call) for call in CALLS if call != lost})
    assert not isinstance(part(), Tracker)


class Failing:
    """A tracker that keeps its calls and fails in one of them."""

    def __init__(self, trouble: dict[str, BaseException]) -> None:
        self.trouble, self.calls = trouble, []
        self._call("make")

    def _call(self, name: str) -> None:
        if name in self.trouble:
            raise self.trouble[name]
        self.calls.append(name)

    def start(self, opening: Opening) -> None:
        self._call("start")

    def log(self, scalars, *, step) -> None:
        self._call("log")

    def table(self, name, columns, rows, *, step) -> None:
        self._call("table")

    def image(self, name, picture, *, step) -> None:
        with picture:
            self._call("image")

    def page(self, name, path, *, step) -> None:
        self._call("page")

    def finish(self, summary, *, exit_code) -> None:
        self._call("finish")


@contextmanager
def picture(error: BaseException | None = None):
    if error is not None:
        raise error
    yield Path("gamma.png")


def use(trouble: dict[str, BaseException]) -> list[str]:
    """Every call twice; the calls that came through."""
    made: list[Failing] = []

    def make() -> Failing:
        made.append(Failing(trouble))
        return made[0]

    tracker = Safe(make, "mirror")
    tracker.start(Opening("a", "b", None, "run", (), {}, Path("run")))
    for step in (1, 2):
        tracker.log({"a": 1.0}, step=step)
        tracker.table("t", ["a"], [[1]], step=step)
        tracker.image("i", picture(trouble.get("draw")), step=step)
        tracker.page("p", Path("index.html"), step=step)
    for _ in range(2):
        tracker.finish({"a": 1.0}, exit_code=0)
    return made[0].calls if made else []


ALL = ["make", "start", *("log", "table", "image", "page") * 2, "finish"]


def test_what_works_is_handed_on_and_finished_once(capfd):
    assert use({}) == ALL
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error", [OSError("No space\nleft"), RuntimeError("no home"), KeyError("uid"), TypeError()]
)
@pytest.mark.parametrize("call", ["make", "start", "log", "table", "image", "draw", "page", "finish"])
def test_a_failure_is_one_line_and_the_rest_still_arrives(capfd, call, error):
    lost = ALL if call in ("make", "start") else [call, "image" if call == "draw" else call]
    left = (
        [name for name in ALL if name not in lost]
        if call not in ("make", "start")
        else ALL[: ALL.index(call)]
    )
    assert use({call: error}) == left
    (line,) = capfd.readouterr().err.splitlines()
    at = "image" if call == "draw" else "start" if call == "make" else call
    assert line.startswith(f"warning: mirror: {at}: {type(error).__name__}: ")
    assert line.endswith("; the run goes on without it")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", ["make", "start", "log", "table", "image", "draw", "page", "finish"])
def test_an_interrupt_passes_through(call, interrupt):
    with pytest.raises(interrupt):
        use({call: interrupt()})


def test_nobody_to_tell(monkeypatch):
    """stderr on a full disk, closed, or none at all."""

    class Full:
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert use({"log": OSError("full")}) == [name for name in ALL if name != "log"]
