"""Jobs that run elsewhere, each or as fused groups: what a scheduler is given, and what the command knows of them at the end."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus

from peftlab.config.asked import PLACE
from peftlab.config.job import compose_jobs, current
from peftlab.engine.job import Job, job_of
from peftlab.plugin.launch import launch_jobs
from peftlab.report.callback import note

Words = list[str]  # of a job


class Call:
    """What runs where a scheduler puts it: the jobs that it is given, as one fused group if there are several."""

    def __init__(self, context: Any, config: Any) -> None:
        self.context, self.config, self.state = context, config, Singleton.get_state()

    def __call__(self, jobs: Sequence[Words]) -> list[JobReturn]:
        """Of each job what Hydra is told; its value is the sentence of a failure that its folder does not tell."""
        from peftlab.engine.fused import run_jobs

        Singleton.set_state(self.state)
        told: list[str | None] = []

        def ended(taken: Iterator[Job]) -> Iterator[tuple[int, str | None]]:
            told.extend(run_jobs(list(taken)))
            yield from enumerate(told)

        returns = launch_jobs(self.context, self.config, jobs, 0, ended)
        for one, untold in zip(returns, told, strict=True):
            one.return_value = untold
        return returns

    def checkpoint(self, *args: Any) -> Any:
        """For submitit, when Slurm takes the job away: the same again, which goes on from what each run has saved."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *args)


def run(call: Call, jobs: Sequence[Words]) -> list[JobReturn]:
    """The same as a function, which is what Ray takes."""
    return call(jobs)


class Fusion(NamedTuple):
    """Whether jobs are grouped, for how many workers, and how many of them a group has at most."""

    fused: bool
    max_cells: int | None
    workers: int = 1


def groups(
    context: Any, config: Any, jobs: Sequence[Sequence[str]], first: int, how: Fusion
) -> list[list[Words]]:
    """The words of the jobs, by the groups that each is one job of a scheduler. `first` is the number of the first."""
    from peftlab.engine.group import grouped

    words = [_placed([*job], number) for number, job in enumerate(jobs, start=first)]
    if not how.fused:
        return [[own] for own in words]
    composed = _jobs(context, config, words)
    return [[words[at] for at in group] for group in grouped(composed, how.workers, how.max_cells)]


def collected(
    waits: Sequence[Callable[[], list[JobReturn]]], call: Call, given: Sequence[list[Words]]
) -> list[JobReturn]:
    """What groups that run elsewhere end with, each waited for in its turn. One that is lost ends no other."""
    returns = []
    for wait, jobs in zip(waits, given, strict=True):
        try:
            found = wait()
        except Exception as error:  # the scheduler's, or that of a process that is gone
            found = _lost(call, jobs, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        for one, words in zip(found, jobs, strict=True):
            name = " ".join(word for word in words if not word.lstrip("+").startswith("hydra."))
            note(name, one.return_value)
            one.return_value = None
        returns += found
    return returns


def _lost(call: Call, jobs: list[Words], why: str) -> list[JobReturn]:
    """Of a group that is lost, those runs that had not ended before are lost."""
    found = []
    for words, job in zip(jobs, _jobs(call.context, call.config, jobs), strict=True):
        found.append(JobReturn(overrides=words, status=JobStatus.COMPLETED))
        found[-1].return_value = None if job.has_ended else why
    return found


def _jobs(context: Any, config: Any, words: Sequence[Words]) -> list[Job]:
    jobs = []
    for own in compose_jobs(context.config_loader, config, words, 0):
        with current(own) as task:
            jobs.append(job_of(task))
    return jobs


def _placed(words: Words, number: int) -> Words:
    return words if any(PLACE in word for word in words) else [*words, f"+{PLACE}={number}"]
