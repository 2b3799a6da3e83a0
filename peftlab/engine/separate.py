"""One job after the other in this process, which keeps the trunk: what an engine does with each."""

import errno
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from peftlab.config.identity import Identity
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.record.record import Record

FAILED, INTERRUPTED = 1, 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Job:
    """A composed config, the folder that its run is recorded in, and the sweep that it is part of, if it is."""

    config: dict[str, Any]
    record: Record
    group: str | None


def run_job(job: Job) -> str | None:
    """Resolve, skip what is finished, run. In a sweep a failure is recorded and the next job starts.

    Returns the sentence of a failure that its folder does not tell: another run lies there, or nothing can be written.

    Raises:
        SystemExit: with the sentence of a wrong input or the code of a failure outside a sweep, and after an interrupt.
    """
    record, sweep = job.record, job.group is not None
    try:
        resolved = resolve(job.config)
        record.identity = Identity(job.config)
        if not record.look(resolved.root.resume):
            from peftlab.search.stages import run_found  # torch, for which a wrong config does not wait

            run_found(resolved, record, job.group)
    except KeyboardInterrupt:
        record.interrupt()
        sys.exit(INTERRUPTED)
    except Exception as error:
        sentence = _sentence(error, record)
        told = (sweep or record.has_begun or sentence is None) and record.fail(
            sentence or f"{type(error).__name__}: {error}", None if sentence else traceback.format_exc()
        )
        if sentence is None:
            traceback.print_exc()
        if not sweep:
            sys.exit(FAILED if sentence is None else f"peftlab: {sentence}")
        if sentence is not None:
            print(f"peftlab: {sentence}", file=sys.stderr)
        return None if told else sentence or f"{type(error).__name__}: {error}"
    finally:
        record.release()
        record.discard()
    return None


def _sentence(error: Exception, record: Record) -> str | None:
    """What a person can mend, in a sentence: a wrong input, a full disk, a place that is not ours to write in."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        where = error.filename2 or error.filename or record.folder
        return f"{where} cannot be used ({error.strerror}); legal: a place with room that may be read and written"
    return None
