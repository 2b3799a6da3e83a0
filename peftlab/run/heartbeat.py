"""What a run says of itself while it trains: in status.json, so that any machine that sees the folder can watch it."""

import time
from collections.abc import Mapping
from contextlib import suppress

from peftlab.fit.fit import Step
from peftlab.fit.schedule import Schedule
from peftlab.record.record import Record

EVERY_S = 5.0  # between two of them


class Heartbeat:
    """Of one run in one process; `primary` is the metric that is shown of its validations."""

    def __init__(self, record: Record, schedule: Schedule, primary: str) -> None:
        self._record, self._schedule, self._primary = record, schedule, primary
        self._next = 0.0
        self._began: tuple[int, float] | None = None  # a step, and when it had ended

    def beat(self, step: Step, validated: Mapping[str, float]) -> None:
        """Write down how far the run is, if that is due. A place where it cannot be written stops no training.

        `eta_s` are seconds to the last step at the pace of this process, validation with them; null before it has one.
        """
        now = time.monotonic()
        began, before = self._began = self._began or (step.number, now)
        if now < self._next:
            return
        self._next = now + EVERY_S
        end, per_epoch, taken = self._schedule.end, self._schedule.per_epoch, step.number - began
        told = {
            "time": time.time(),
            "step": step.number,
            "steps": end,
            "epoch": round(step.number / per_epoch, 3),
            "epochs": end // per_epoch,
            "loss": step.loss,
            "metric": self._primary,
            "val": validated.get(self._primary),
            "eta_s": round((end - step.number) * (now - before) / taken, 1) if taken else None,
        }
        with suppress(OSError):
            self._record.status("running", beat=told)
