"""One job after the other in this process, which keeps the trunk: what an engine does with each."""

import sys
import traceback
from dataclasses import dataclass
from typing import Any

from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.record.record import Record

FAILED, INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Job:
    """A composed config, the folder that its run is recorded in, and the sweep that it is part of, if it is."""

    config: dict[str, Any]
    record: Record
    group: str | None


def run_job(job: Job) -> None:
    """Resolve, skip what is finished, run. In a sweep a failure is recorded and the next job starts.

    Raises:
        SystemExit: with the sentence of a wrong input or the code of a failure outside a sweep, and after an interrupt.
    """
    record, sweep = job.record, job.group is not None
    try:
        resolved = resolve(job.config)
        if record.skip(resolved.root.resume):
            return
        from peftlab.search.stages import run_found  # torch, for which a wrong config does not wait

        run_found(resolved, record, job.group)
    except KeyboardInterrupt:
        record.status("interrupted")
        sys.exit(INTERRUPTED)
    except UserError as error:
        if not sweep:
            record.discard()
            sys.exit(f"peftlab: {error}")
        record.fail(str(error))
        print(f"peftlab: {error}", file=sys.stderr)
    except Exception as error:
        record.fail(f"{type(error).__name__}: {error}", traceback.format_exc())
        traceback.print_exc()
        if not sweep:
            sys.exit(FAILED)
