"""One run, from a checked config to result.json: build, preflight, fit, test once, save."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from peftlab.fit.fit import Diverged, fit, steps_per_epoch
from peftlab.record.record import Record
from peftlab.run.finish import finish, row_of
from peftlab.run.memory import release, reset_peak
from peftlab.run.preflight import preflight
from peftlab.run.show import console, progress, show_line
from peftlab.run.show_start import introduce
from peftlab.run.state import Run
from peftlab.search.stages import with_found_placement

INTERRUPTED = 130


def run(config: dict[str, Any], record: Record, group: str | None) -> None:
    """Train, test and save one run in its folder. `group` is the name of its sweep.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
        UserError: for data or weights that cannot be had.
    """
    started = time.time()
    release()
    console.rule(record.folder.name)
    show_line("run folder", str(record.folder))
    config = with_found_placement(config, record, run)
    state = Run(config, record, group)
    reset_peak(state.experiment.device)
    difference = preflight(state.experiment.model, *state.experiment.probe, state.experiment.loss)
    introduce(state.experiment, difference)
    start = state.open()
    code = 1
    summary: dict[str, float | int | str] = {}
    try:
        with interruptible(state):
            diverged = train(state, start)
        if state.stop:
            code = INTERRUPTED
            record.status("interrupted")
            console.print(f"interrupted and saved; the same command goes on from there: {record.folder}")
            sys.exit(INTERRUPTED)
        result = finish(state, diverged, started)
        summary = {key: value for key, value in result["metrics"].items() if value is not None}
        code = 0
    finally:
        state.tracker.finish(summary, exit_code=code)


def train(state: Run, start: int) -> Diverged | None:
    """Consume the generator of steps: log, validate, save. Returns the divergence, if there was one."""
    experiment, plan = state.experiment, state.experiment.plan
    per_epoch = steps_per_epoch(plan, experiment.batches)
    eval_every = plan.eval_every or 1
    steps = fit(
        plan,
        experiment.model,
        experiment.batches,
        experiment.loss,
        experiment.optimizers,
        experiment.outer,
        start=start,
        seed=state.config["seed"],
        device=experiment.device,
    )
    total = plan.epochs * per_epoch
    with progress() as bar:
        task = bar.add_task("train", total=total, completed=start, loss="-")
        try:
            began = time.perf_counter()
            for step in steps:
                state.step_times.append(time.perf_counter() - began)
                state.log(step.number, row_of(step))
                bar.update(task, completed=step.number, loss=f"{step.loss:.4f}")
                epoch, rest = divmod(step.number, per_epoch)
                if rest == 0 and (epoch % eval_every == 0 or step.number == total):
                    state.validate(step.number)
                if state.stop or (rest == 0 and epoch % plan.save_every == 0) or step.number == total:
                    state.save(step.number)
                if state.stop:
                    state.stop = step.number < total
                    break
                began = time.perf_counter()
        except Diverged as diverged:
            return diverged
    return None


@contextmanager
def interruptible(state: Run) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one is Python's own."""

    def ask(number: int, frame: FrameType | None) -> None:
        state.stop = True
        signal.signal(number, signal.default_int_handler)

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
