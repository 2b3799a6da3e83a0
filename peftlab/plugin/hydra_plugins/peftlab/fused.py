"""hydra/launcher=fused: compatible jobs of a multirun on one frozen trunk and one stream of batches."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher


class Fused(Launcher):
    """Hands all jobs of a sweep to `peftlab.engine.fused` at once. `max_cells`: of one group; None is no bound."""

    def __init__(self, max_cells: int | None) -> None:
        self.max_cells = max_cells

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Keep what `launch` needs."""
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose every job, run them, and tell the callbacks of each as it ends."""
        from peftlab.config.job import compose_jobs, current, job_return
        from peftlab.engine.fused import run_fused
        from peftlab.engine.job import job_of
        from peftlab.report.callback import note

        jobs, returns, configs = [], [], []
        for config in compose_jobs(self.context.config_loader, self.config, job_overrides, initial_job_idx):
            with current(config) as task:
                jobs.append(job_of(task))
                returns.append(job_return(config, task))
                configs.append(config)
        for place, untold in run_fused(jobs, self.max_cells):
            note(jobs[place].record.folder.name, untold)
            returns[place].status, returns[place].return_value = JobStatus.COMPLETED, None
            with current(configs[place]):
                self.context.callbacks.on_job_end(config=configs[place], job_return=returns[place])
        return returns
