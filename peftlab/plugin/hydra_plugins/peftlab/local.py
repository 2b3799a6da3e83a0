"""hydra/launcher=local: the jobs of a multirun on the GPUs or cores of this machine."""

import atexit
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher


class Local(Launcher):
    """Hands the jobs to the workers of `peftlab.engine.local`, which stay from one launch to the next.

    interleave: all jobs train so many epochs before any goes on, then twice as many, and so on; None is one after another.
    fused, max_cells: whether a worker takes a fused group, and of how many cells at most.
    """

    def __init__(
        self,
        *,
        workers: int | None,
        hang_s: float | None,
        memory_gb: float | None,
        interleave: int | None,
        fused: bool,
        max_cells: int | None,
    ) -> None:
        self.workers, self.interleave, self.fused, self.max_cells = workers, interleave, fused, max_cells
        self.limits = {"hang_s": hang_s, "memory_gb": memory_gb}
        self.pool: Any = None

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Keep what `launch` needs.

        Raises:
            UserError: for an option that is not legal.
        """
        from peftlab.engine.option import check_options

        check_options(workers=self.workers, interleave=self.interleave, **self.limits)
        check_options(fused=self.fused, max_cells=self.max_cells)
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, in rounds if they are interleaved."""
        from peftlab.engine.local import Limits, Pool
        from peftlab.report.race.entries import part

        if self.pool is None:
            self.pool = Pool(self.workers, Limits(**self.limits), self.max_cells if self.fused else 1)
            atexit.register(self.pool.close)
        whole = any(word.startswith("fit.stop_after=") for words in job_overrides for word in words)
        epoch = None if whole else self.interleave
        returns, longest = self._launch(
            [part([*job], epoch, first=True) for job in job_overrides], initial_job_idx
        )
        while epoch is not None and epoch < longest:
            epoch = 2 * epoch if 2 * epoch < longest else None
            returns, _ = self._launch(
                [part([*job], epoch, first=False) for job in job_overrides], initial_job_idx
            )
        return returns

    def _launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> tuple[list[JobReturn], int]:
        """One round; also gives the epochs of the longest plan."""
        from peftlab.plugin.launch import launch_jobs

        folder, epochs = Path(str(self.config.hydra.sweep.dir)), [0]

        def noted(jobs: Iterator[Any]) -> Iterator[Any]:
            for job in jobs:
                epochs.append(int(job.config.get("fit", {}).get("epochs", 0)))  # a refused job has no plan
                yield job

        def run(jobs: Iterator[Any]) -> Iterator[tuple[int, str | None]]:
            found: Iterator[tuple[int, str | None]] = self.pool.run(noted(jobs), len(job_overrides), folder)
            return found

        return launch_jobs(self.context, self.config, job_overrides, first, run), max(epochs)
