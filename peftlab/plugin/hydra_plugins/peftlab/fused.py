"""hydra/launcher=fused: compatible jobs of a multirun on one frozen trunk and one stream of batches."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher


class Fused(Launcher):
    """Hands the jobs of a sweep to `peftlab.engine.fused`, `max_cells` at a time; None is all at once."""

    def __init__(self, max_cells: int | None) -> None:
        self.max_cells = max_cells

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Keep what `launch` needs.

        Raises:
            UserError: for a bound that is none.
        """
        from peftlab.engine.option import check_options

        check_options(max_cells=self.max_cells)
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compose jobs, run them, and tell the callbacks of each as it ends."""
        from peftlab.engine.fused import run_fused
        from peftlab.plugin.launch import launch_jobs

        size = self.max_cells or len(job_overrides)
        returns: list[JobReturn] = []
        for at in range(0, len(job_overrides), size):
            words, first = job_overrides[at : at + size], initial_job_idx + at
            returns += launch_jobs(
                self.context, self.config, words, first, lambda jobs: run_fused(list(jobs))
            )
        return returns
