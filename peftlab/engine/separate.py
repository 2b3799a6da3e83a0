"""One job after the other in this process, which keeps the trunk: what an engine does with each."""

import sys
import traceback

from peftlab.config.identity import Identity
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.engine.job import Job
from peftlab.errors import FAILED, INTERRUPTED, WRONG, UserError, say, stop
from peftlab.inputs.garbage import uncollected
from peftlab.record.machine import is_of_machine
from peftlab.record.whole_file import refusal


def run_job(job: Job) -> str | None:
    """Resolve, skip what is finished, run. In a sweep a failure is recorded and the next job starts.

    Returns the sentence of a failure that its folder does not tell: another run lies there, or nothing can be written.

    Raises:
        SystemExit: outside a sweep with 2 where nothing was begun and 1 for a run that failed, and 130 after an interrupt.
    """
    record = job.record
    try:
        resolved = begin(job)
        if resolved is not None:
            with uncollected():
                from peftlab.search.stages import run_found  # torch, for which a wrong config does not wait

            run_found(resolved, record, job.group)
    except KeyboardInterrupt:
        record.interrupt()
        sys.exit(INTERRUPTED)
    except Exception as error:
        return fail(job, error)
    finally:
        record.release()
        record.discard()
    return None


def begin(job: Job) -> Resolved | None:
    """The run of a job; None if it is finished. Nothing is written.

    Raises:
        UserError: for a wrong config, or a folder that is not for this run.
    """
    resolved = resolved_of(job)
    return None if job.record.look(resolved.root.resume, resolved.fit.last_epoch) else resolved


def resolved_of(job: Job) -> Resolved:
    """The checked config of a job, whose time begins here.

    Raises:
        UserError: for a wrong one.
    """
    job.record.begin()
    resolved = resolve(job.config)
    job.record.identity = Identity(job.config)
    return resolved


def fail(job: Job, error: Exception) -> str | None:
    """Record and print a failure, and outside of a sweep exit; returns what `run_job` does."""
    record, sweep = job.record, job.group is not None
    sentence = refusal(error, record.folder)
    trace = None if sentence else "".join(traceback.format_exception(error))
    short = sentence or f"{type(error).__name__}: {error}"
    of_machine = is_of_machine(error)
    told = (sweep or record.has_begun or sentence is None) and record.fail(
        short, trace, of_machine=of_machine
    )
    if trace is not None:
        print(trace, file=sys.stderr)
    if not sweep:
        if sentence is None:
            sys.exit(FAILED)
        refused = isinstance(error, UserError) and not record.has_begun
        stop(f"peftlab: {sentence}", WRONG if refused else FAILED)
    if sentence is not None:
        say(f"peftlab: {sentence}")
    return None if told else short
