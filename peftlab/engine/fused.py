"""Compatible jobs as cells of one network; the others one after another."""

import json
import sys
from collections.abc import Iterator, Sequence

from peftlab.config.resolved import Resolved
from peftlab.engine.job import Job
from peftlab.engine.separate import begin, fail, run_job
from peftlab.errors import INTERRUPTED, say
from peftlab.inputs.garbage import uncollected

SAME = ("backbone", "task", "dataset", "fit", "device")  # what the jobs of a group have in common
Ended = Iterator[tuple[int, str | None]]


def group_key(resolved: Resolved) -> str:
    """Jobs with the same key can be of one group."""
    return json.dumps([resolved.raw[key] for key in SAME], sort_keys=True, default=str)


def why_alone(resolved: Resolved) -> str | None:
    """What keeps a job out of every group, if anything does."""
    if resolved.placement.word in ("noah", "supernet"):
        return f"placement={resolved.placement.word} has stages of its own"
    if resolved.fit.compile:
        return "fit.compile=true compiles the step of one cell"
    return None


def run_fused(jobs: Sequence[Job]) -> Ended:
    """Run all jobs; gives the place of each as it ends, with what `run_job` returns.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
    """
    groups: dict[str, list[int]] = {}
    waiting: dict[int, Resolved] = {}
    for place, job in enumerate(jobs):
        try:
            resolved = begin(job)
        except Exception as error:
            yield place, _closed(job, fail(job, error))
            continue
        if resolved is None:
            yield place, _closed(job, None)
            continue
        waiting[place] = resolved
        why = why_alone(resolved)
        key = group_key(resolved) if why is None else f"{place}"
        groups.setdefault(key, []).append(place)
        if why is not None:
            say(f"fused: {job.record.folder.name} runs alone, since {why}")
    for places in groups.values():
        yield from _run_group(jobs, waiting, places)


def _run_group(jobs: Sequence[Job], waiting: dict[int, Resolved], places: list[int]) -> Ended:
    """One group. If something goes wrong with all of it, those that have not ended run one after another."""
    left = list(places)
    if len(places) > 1:
        say(f"fused: {len(places)} jobs on one trunk")
        try:
            for place, error in _together(jobs, waiting, places):
                left.remove(place)
                yield place, _closed(jobs[place], None if error is None else fail(jobs[place], error))
        except (KeyboardInterrupt, SystemExit, GeneratorExit) as end:
            for place in left:
                jobs[place].record.interrupt()
                _closed(jobs[place], None)
            if isinstance(end, GeneratorExit):  # whoever takes our results was interrupted
                raise
            sys.exit(INTERRUPTED)
        except Exception as error:
            say(
                f"fused: {type(error).__name__}: {error}; the {len(left)} jobs that are left run one after another"
            )
            for place in left:
                _closed(jobs[place], None)
    for place in left:
        yield place, run_job(jobs[place])


def _together(
    jobs: Sequence[Job], waiting: dict[int, Resolved], places: list[int]
) -> Iterator[tuple[int, Exception | None]]:
    with uncollected():  # torch, for which a wrong config does not wait
        from peftlab.run.run import Order
        from peftlab.run.together import run_together

    orders = [Order(waiting[place], jobs[place].record, jobs[place].group) for place in places]
    for index, error in run_together(orders):
        yield places[index], error


def _closed(job: Job, untold: str | None) -> str | None:
    job.record.release()
    job.record.discard()
    return untold
