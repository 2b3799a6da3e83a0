"""hydra/launcher=local: the jobs of a multirun on the GPUs or cores of this machine."""

import atexit
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher


class Local(Launcher):
    """Hands the jobs to the workers of `peftlab.engine.local`, which stay from one launch to the next.

    interleave: all jobs train so many epochs before any goes on, then twice as many, and so on; None is one after another.
    """

    def __init__(self, *, workers: int | None, hang_s: float | None, interleave: int | None) -> None:
        self.workers, self.hang_s, self.interleave = workers, hang_s, interleave
        self.pool: Any = None

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Keep what `launch` needs."""
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, in rounds if they are interleaved."""
        from peftlab.engine.local import Pool
        from peftlab.report.race.entries import part

        if self.pool is None:
            self.pool = Pool(self.workers, self.hang_s)
            atexit.register(self.pool.close)
        whole = any(word.startswith("fit.stop_after=") for words in job_overrides for word in words)
        epoch = None if whole else self.interleave
        returns = self._launch([part([*job], epoch, first=True) for job in job_overrides], initial_job_idx)
        plans = [done.cfg.get("fit") or {} for done in returns if done.cfg is not None]
        longest = max((int(plan.get("epochs", 0)) for plan in plans), default=0)  # a refused job has no plan
        while epoch is not None and epoch < longest:
            epoch = 2 * epoch if 2 * epoch < longest else None
            returns = self._launch(
                [part([*job], epoch, first=False) for job in job_overrides], initial_job_idx
            )
        return returns

    def _launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        from peftlab.config.job import compose_jobs, current, job_return
        from peftlab.engine.job import job_of
        from peftlab.report.callback import note

        configs, jobs, returns = [], [], []

        def composed() -> Iterator[Any]:
            """One job at a time, as a worker is free for it."""
            for config in compose_jobs(self.context.config_loader, self.config, job_overrides, first):
                with current(config) as task:
                    jobs.append(job_of(task))
                    returns.append(job_return(config, task))
                configs.append(config)
                yield jobs[-1]

        folder = Path(str(self.config.hydra.sweep.dir))
        for place, untold in self.pool.run(composed(), len(job_overrides), folder):
            note(jobs[place].record.folder.name, untold)
            returns[place].status, returns[place].return_value = JobStatus.COMPLETED, None
            with current(configs[place]):
                self.context.callbacks.on_job_end(config=configs[place], job_return=returns[place])
        return returns
