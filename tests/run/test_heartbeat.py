"""What a run says of itself while it trains."""

import json
from pathlib import Path
from typing import Any

import pytest

from peftlab.fit.fit import Step
from peftlab.fit.plan import Plan
from peftlab.fit.schedule import Schedule
from peftlab.record.record import Record
from peftlab.run import heartbeat
from peftlab.run.heartbeat import EVERY_S, Heartbeat


@pytest.fixture
def plan(base: dict[str, Any]) -> Plan:
    """Four epochs."""
    options = {key: value for key, value in base["fit"].items() if key != "_target_"}
    return Plan(**{**options, "epochs": 4})


def step(number: int) -> Step:
    return Step(number, 0.0, 0.5, 0.1, None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    return now


def made(folder: Path, plan: Plan) -> Heartbeat:
    return Heartbeat(Record(folder, {}, {"seed": 0}), Schedule(plan, 5), "mean_acc")


def said(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "status.json").read_text())
    assert found["state"] == "running"
    beat: dict[str, Any] = found["beat"]
    return beat


def test_it_is_written_when_it_is_due_and_says_how_long_it_takes(
    tmp_path: Path, plan: Plan, clock: list[float]
) -> None:
    beats = made(tmp_path, plan)
    beats.beat(step(3), {})
    found = said(tmp_path)
    keys = ["time", "step", "steps", "epoch", "epochs", "loss", "metric", "val", "eta_s"]
    assert list(found) == keys
    assert (found["step"], found["steps"], found["eta_s"], found["val"]) == (3, 20, None, None)
    clock[0] += EVERY_S - 1
    beats.beat(step(4), {})
    assert said(tmp_path) == found
    clock[0] += 1
    beats.beat(step(5), {"mean_acc": 0.5})
    found = said(tmp_path)
    assert (found["step"], found["epoch"], found["epochs"], found["val"]) == (5, 1.0, 4, 0.5)
    assert found["eta_s"] == pytest.approx(15 * EVERY_S / 2)


def test_a_place_that_cannot_be_written_stops_no_training(
    tmp_path: Path, plan: Plan, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Record, "status", full)
    made(tmp_path, plan).beat(step(1), {})
