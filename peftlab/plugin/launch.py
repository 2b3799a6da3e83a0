"""What our launchers have in common: from the words of jobs to what Hydra is told of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from peftlab.config.job import compose_jobs, current, job_return
from peftlab.engine.job import Job, job_of
from peftlab.report.callback import note

Run = Callable[
    [Iterator[Job]], Iterator[tuple[int, str | None]]
]  # gives places as jobs end, with what is untold


def launch_jobs(
    context: Any, config: Any, jobs: Sequence[Sequence[str]], first: int, run: Run
) -> list[JobReturn]:
    """Compose each job when `run` takes it, and tell the callbacks of each as it ends. `first` is the number of the first."""
    configs: list[Any] = []
    taken: list[Job] = []
    returns: list[JobReturn] = []

    def composed() -> Iterator[Job]:
        for own in compose_jobs(context.config_loader, config, jobs, first):
            with current(own) as task:
                taken.append(job_of(task))
                returns.append(job_return(own, task))
            configs.append(own)
            yield taken[-1]

    for place, untold in run(composed()):
        note(taken[place].record.folder.name, untold)
        returns[place].status, returns[place].return_value = JobStatus.COMPLETED, None
        with current(configs[place]):
            context.callbacks.on_job_end(config=configs[place], job_return=returns[place])
    return returns
