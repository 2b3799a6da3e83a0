"""One run, from a resolved config to result.json: build, preflight, fit, test once, save."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from peftlab.build.ended import started
from peftlab.build.experiment import build
from peftlab.config.resolved import Resolved
from peftlab.fit.fit import Diverged
from peftlab.fit.parallel import ALONE, Ranks
from peftlab.inputs.plain import plain
from peftlab.network.network import Network
from peftlab.record.checkpoint import saved_masks
from peftlab.record.record import Record
from peftlab.record.status import STOPPED
from peftlab.run import mirror
from peftlab.run.finish import Tested, finish
from peftlab.run.memory import release, reset_peak
from peftlab.run.preflight import preflight
from peftlab.run.show import console, show_line
from peftlab.run.show_start import show_start
from peftlab.run.start_from import read_ended
from peftlab.run.state import Run
from peftlab.run.stop import interruptible
from peftlab.run.train import Training
from peftlab.tracker.tracker import Scalar

INTERRUPTED = 130


class Order(NamedTuple):
    """What is to be run, the folder that it is recorded in, and the name of its sweep."""

    resolved: Resolved
    record: Record
    group: str | None


@dataclass
class Ending:
    """What a tracker is told last."""

    summary: dict[str, Scalar] = field(default_factory=dict)
    code: int = 1


def run(resolved: Resolved, record: Record, group: str | None, ranks: Ranks = ALONE) -> None:
    """Train, test and save one run in its folder. `group` is the name of its sweep, `ranks` who computes it.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
        UserError: for data or weights that cannot be had, or a folder that this run cannot go on in: nothing is written then.
    """
    release()
    state = prepare(Order(resolved, record, group), None, ranks)
    start = opened(state, ranks)
    if start is None:
        return
    with mirrored(state) as ending:
        training = Training([state], [start])
        with interruptible(ranks) as stop:
            training.train(stop)
        if not training.outcomes:
            interrupted(state, ending)
            stop.follow()
            sys.exit(INTERRUPTED)
        (outcome,) = training.outcomes.values()
        assert not isinstance(outcome, Exception)
        ended(state, start, outcome, ending)


def prepare(order: Order, network: Network | None, ranks: Ranks = ALONE) -> Run:
    """Build and check a run, on a network of others if one is given. Nothing is written.

    Raises:
        UserError: for data or weights that cannot be had, or a method that does not fit.
    """
    resolved, record, group = order
    console.rule(plain(record.folder.name))
    show_line("run folder", str(record.folder))
    before, masks = read_ended(resolved), saved_masks(record.folder) if resolved.root.resume else None
    own: dict[str, Any] = (
        {"masks": masks} if before is None else {"masks": before.masks, "placing": before.place}
    )
    experiment = build(resolved, network=network, ranks=ranks, **own)
    state = Run(experiment, record, group)
    reset_peak(state.device)
    probe = experiment.trunk.probe()
    difference = preflight(experiment.network, experiment.cell, probe, experiment.learner.loss)
    show_start(experiment, difference)
    if before is not None:
        show_line("start", started(before, experiment.cell, has_head=before.load(experiment)))
    return state


def opened(state: Run, ranks: Ranks) -> int | None:
    """`state.open` of every rank, if that of rank 0 has the folder; they start with its numbers."""
    cell = state.experiment.cell
    start = ranks.first(state.open)
    if start is None or ranks.alone:
        return start
    if ranks.rank:
        state.open()
    found = ranks.first(lambda: {name: value.cpu() for name, value in cell.state().items()})
    cell.load_state({name: value.to(state.device) for name, value in found.items()})
    return start


@contextmanager
def mirrored(state: Run) -> Iterator[Ending]:
    """The tracker's run ends with what stands in the `Ending` then."""
    ending = Ending()
    try:
        yield ending
    finally:
        state.tracker.finish(ending.summary, exit_code=ending.code)


def interrupted(state: Run, ending: Ending) -> None:
    """Say that a run was stopped, and is saved."""
    ending.code = INTERRUPTED
    state.record.status("interrupted")
    console.print(f"interrupted and saved; the same command goes on from there: {state.record.folder}")


def stops_at(state: Run, start: int, diverged: Diverged | None) -> int | None:
    """The step at which fit.stop_after has ended the run before its test; `start` is the step that it went on at."""
    at, last = max(start, state.experiment.schedule.end), state.experiment.schedule.num_steps
    is_before = at < last or state.experiment.resolved.fit.stop_after == "end"
    return at if diverged is None and is_before else None


def ended(
    state: Run, start: int, diverged: Diverged | None, ending: Ending, tested: Tested | None = None
) -> None:
    """Test and write the result, unless fit.stop_after has ended the training before; `tested` as in `finish`."""
    at = stops_at(state, start, diverged)
    if at is not None:
        ending.summary, ending.code = stopped(state, at), 0
        return
    result = finish(state, diverged, tested)
    state.show_tested(result)
    ending.summary, ending.code = mirror.final(result, state.validated), 0


def stopped(state: Run, step: int) -> dict[str, Scalar]:
    """Say that the run stopped where fit.stop_after asked for it, with its metrics on validation there; what stands for it.

    A validation that the plan has not at this epoch is no part of the run: what goes on drops its row, and selects nothing
    by it.
    """
    plan = state.experiment.resolved.fit
    epoch, rest = divmod(step, state.experiment.schedule.per_epoch)
    if rest == 0 and epoch % (plan.eval_every or 1) and step < state.experiment.schedule.num_steps:
        state.validate(step)
    state.record.status(STOPPED, epoch=epoch)
    console.print(
        f"stopped after epoch {epoch} of {plan.epochs} (fit.stop_after={plan.stop_after}) and saved; the same command"
        f" without it goes on from there: {state.record.folder}"
    )
    return mirror.stopped(state.last)
