"""One job after the other in this process, which keeps the trunk: what an engine does with each."""

import sys
import traceback

from peftlab.config.identity import Identity
from peftlab.config.resolve import resolve
from peftlab.engine.job import Job
from peftlab.errors import FAILED, INTERRUPTED, WRONG, UserError, say, stop
from peftlab.record.whole_file import refusal


def run_job(job: Job) -> str | None:
    """Resolve, skip what is finished, run. In a sweep a failure is recorded and the next job starts.

    Returns the sentence of a failure that its folder does not tell: another run lies there, or nothing can be written.

    Raises:
        SystemExit: outside a sweep with 2 where nothing was begun and 1 for a run that failed, and 130 after an interrupt.
    """
    record, sweep = job.record, job.group is not None
    try:
        resolved = resolve(job.config)
        record.identity = Identity(job.config)
        if not record.look(resolved.root.resume, resolved.fit.stop_after):
            from peftlab.search.stages import run_found  # torch, for which a wrong config does not wait

            run_found(resolved, record, job.group)
    except KeyboardInterrupt:
        record.interrupt()
        sys.exit(INTERRUPTED)
    except Exception as error:
        sentence = refusal(error, record.folder)
        told = (sweep or record.has_begun or sentence is None) and record.fail(
            sentence or f"{type(error).__name__}: {error}", None if sentence else traceback.format_exc()
        )
        if sentence is None:
            traceback.print_exc()
        if not sweep:
            if sentence is None:
                sys.exit(FAILED)
            refused = isinstance(error, UserError) and not record.has_begun
            stop(f"peftlab: {sentence}", WRONG if refused else FAILED)
        if sentence is not None:
            say(f"peftlab: {sentence}")
        return None if told else sentence or f"{type(error).__name__}: {error}"
    finally:
        record.release()
        record.discard()
    return None
