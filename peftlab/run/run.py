"""One run, from a resolved config to result.json: build, preflight, fit, test once, save."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from peftlab.build.experiment import build
from peftlab.config.resolved import Resolved
from peftlab.fit.fit import Diverged, fit
from peftlab.inputs.plain import plain
from peftlab.record.checkpoint import saved_masks
from peftlab.record.record import Record
from peftlab.record.status import STOPPED
from peftlab.run import mirror
from peftlab.run.finish import finish
from peftlab.run.memory import release, reset_peak
from peftlab.run.preflight import preflight
from peftlab.run.rows import learned_gammas, row_of
from peftlab.run.show import console, progress, show_line
from peftlab.run.show_start import show_start
from peftlab.run.state import Run
from peftlab.tracker.tracker import Scalar

INTERRUPTED = 130


def run(resolved: Resolved, record: Record, group: str | None) -> None:
    """Train, test and save one run in its folder. `group` is the name of its sweep.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
        UserError: for data or weights that cannot be had, or a folder that this run cannot go on in: nothing is written then.
    """
    release()
    console.rule(plain(record.folder.name))
    show_line("run folder", str(record.folder))
    experiment = build(resolved, saved_masks(record.folder) if resolved.root.resume else None)
    state = Run(experiment, record, group)
    reset_peak(state.device)
    probe = experiment.trunk.probe()
    difference = preflight(experiment.network, experiment.cell, probe, experiment.learner.loss)
    show_start(experiment, difference)
    start = state.open()
    if start is None:
        return
    code = 1
    summary: dict[str, Scalar] = {}
    try:
        with interruptible(state):
            diverged = train(state, start)
        if state.stop:
            code = INTERRUPTED
            record.status("interrupted")
            console.print(f"interrupted and saved; the same command goes on from there: {record.folder}")
            sys.exit(INTERRUPTED)
        at = max(start, experiment.schedule.end)
        if diverged is None and at < experiment.schedule.num_steps:
            summary, code = stopped(state, at), 0
            return
        result = finish(state, diverged)
        state.show_tested(result)
        summary = mirror.final(result, state.validated)
        code = 0
    finally:
        state.tracker.finish(summary, exit_code=code)


def train(state: Run, start: int) -> Diverged | None:
    """Consume the generator of steps: log, validate, save. Returns the divergence, if there was one."""
    experiment, plan = state.experiment, state.experiment.resolved.fit
    per_epoch, total = experiment.schedule.per_epoch, experiment.schedule.num_steps
    with progress() as bar:
        task = bar.add_task("train", total=total, completed=start, loss="-")
        began = time.perf_counter()
        for happened in fit(plan, experiment.network, [experiment.learner], start=start):
            step = happened[0]
            if isinstance(step, Diverged):
                return step
            state.step_times.append(time.perf_counter() - began)
            row = row_of(step)
            if experiment.learner.outer is None:
                row |= learned_gammas(experiment.cell.gamma, step, total)
            state.log(step.number, row)
            state.show_gamma(step.number)
            bar.update(task, completed=step.number, loss=f"{step.loss:.4f}")
            epoch, rest = divmod(step.number, per_epoch)
            at_end = step.number == experiment.schedule.end
            if rest == 0 and (epoch % (plan.eval_every or 1) == 0 or step.number == total):
                state.validate(step.number)
            if state.stop or (rest == 0 and epoch % plan.save_every == 0) or at_end:
                state.save(step.number)
            if state.stop:
                state.stop = not at_end
                break
            began = time.perf_counter()
    return None


def stopped(state: Run, step: int) -> dict[str, Scalar]:
    """Say that the run stopped where fit.stop_after asked for it, with its metrics on validation there; what stands for it.

    A validation that the plan has not at this epoch is no part of the run: what goes on drops its row, and selects nothing
    by it.
    """
    plan = state.experiment.resolved.fit
    epoch, rest = divmod(step, state.experiment.schedule.per_epoch)
    if rest == 0 and epoch % (plan.eval_every or 1):
        state.validate(step)
    state.record.status(STOPPED, epoch=epoch)
    console.print(
        f"stopped after epoch {epoch} of {plan.epochs} (fit.stop_after={plan.stop_after}) and saved; the same command"
        f" without it goes on from there: {state.record.folder}"
    )
    return mirror.stopped(state.last)


@contextmanager
def interruptible(state: Run) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one is Python's own.

    So does SIGUSR2, where a scheduler's client has an answer to it: that one follows when all is saved, and ends the process.
    """
    theirs: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        state.stop = True
        if number == signal.SIGUSR2:
            theirs.append(number)
        signal.signal(number, signal.default_int_handler)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if callable(signal.getsignal(signal.SIGUSR2)):
        numbers.append(signal.SIGUSR2)
    previous = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if theirs:
        state.record.status("interrupted")
        signal.raise_signal(theirs[0])
