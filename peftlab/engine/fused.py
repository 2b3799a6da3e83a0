"""Compatible jobs as cells of one network; the others one after another."""

import sys
from collections.abc import Iterator, Sequence

from peftlab.config.resolved import Resolved
from peftlab.engine.group import groups_of, why_alone
from peftlab.engine.job import Job
from peftlab.engine.separate import begin, fail, run_job
from peftlab.errors import INTERRUPTED, say
from peftlab.inputs.garbage import uncollected
from peftlab.record.machine import is_out_of_memory

Ended = Iterator[tuple[int, str | None]]


def run_fused(jobs: Sequence[Job]) -> Ended:
    """Run all jobs; gives the place of each as it ends, with what `run_job` returns.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
    """
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
        if (why := why_alone(resolved)) is not None:
            say(f"fused: {job.record.folder.name} runs alone, since {why}")
    for places in groups_of(waiting):
        yield from _run_group(jobs, waiting, places)


def run_jobs(jobs: Sequence[Job]) -> list[str | None]:
    """What a worker does with the jobs that it is given at once; gives of each what `run_job` does.

    Raises:
        SystemExit: as `run_fused`.
    """
    if len(jobs) == 1:
        return [run_job(jobs[0])]
    ended = dict(run_fused(jobs))
    return [ended[place] for place in range(len(jobs))]


def _run_group(jobs: Sequence[Job], waiting: dict[int, Resolved], places: list[int]) -> Ended:
    """One group. If something goes wrong with all of it, those that have not ended run apart (`_rest`)."""
    left = list(places)
    parts = [[place] for place in places]
    if len(places) > 1:
        say(f"fused: {len(places)} jobs on one trunk")
        try:
            for place, error in _together(jobs, waiting, places):
                left.remove(place)
                yield place, _closed(jobs[place], None if error is None else fail(jobs[place], error))
            return
        except (KeyboardInterrupt, SystemExit, GeneratorExit) as end:
            for place in left:
                jobs[place].record.interrupt()
                _closed(jobs[place], None)
            if isinstance(end, GeneratorExit):  # whoever takes our results was interrupted
                raise
            sys.exit(INTERRUPTED)
        except Exception as error:
            parts = _rest(left, error)
            for place in left:
                _closed(jobs[place], None)
    for part in parts:
        if len(part) > 1:
            yield from _run_group(jobs, waiting, part)
        else:
            yield part[0], run_job(jobs[part[0]])


def _rest(left: list[int], error: Exception) -> list[list[int]]:
    """What is run of a group that an error has ended: its halves, if memory is short."""
    halves = is_out_of_memory(error)
    how = "in two groups" if halves and len(left) > 2 else "one after another"
    say(f"fused: {type(error).__name__}: {error}; the {len(left)} jobs that are left run {how}")
    middle = len(left) // 2
    return [left[:middle], left[middle:]] if halves and len(left) > 1 else [[place] for place in left]


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
