"""hydra/launcher=slurm: submitit's launcher, with arrays of a size that Slurm takes, and without an end at the first lost job."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from hydra.core.utils import JobReturn

with suppress(ImportError):  # without it there is no class, and the command line says what to install
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

    class Slurm(SlurmLauncher):
        """Each job or fused group is a job of Slurm's. What Slurm takes away it brings back; what is lost is told at the end."""

        def __init__(self, max_array_size: int, fused: bool, max_cells: int | None, **params: Any) -> None:
            super().__init__(**params)
            self.max_array_size, self.fused, self.max_cells = max_array_size, fused, max_cells

        def setup(self, **given: Any) -> None:
            """Keep what `launch` needs.

            Raises:
                UserError: for an option that is not legal.
            """
            from peftlab.engine.option import check_options

            check_options(fused=self.fused, max_cells=self.max_cells, max_array_size=self.max_array_size)
            super().setup(**given)

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Submit all jobs, and wait for each of them."""
            from peftlab.config.job import absolute
            from peftlab.plugin.remote import Call, Fusion, collected, groups

            absolute(self.config)
            how, size = Fusion(self.fused, self.max_cells), self.max_array_size
            given = groups(self.hydra_context, self.config, job_overrides, initial_job_idx, how)
            call, executor = Call(self.hydra_context, self.config), self.executor()
            parts = [given[start : start + size] for start in range(0, len(given), size)]
            jobs = [job for part in parts for job in executor.map_array(call, part)]
            print(f"{len(jobs)} jobs are in the queue, as {jobs[0].job_id} to {jobs[-1].job_id}", flush=True)
            return collected([partial(_result, job) for job in jobs], call, given)

        def executor(self) -> Any:
            """submitit's, with what the YAML says; a key that submitit has for Slurm alone is called slurm_KEY there."""
            import submitit
            from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

            params, common = dict(self.params), BaseQueueConf.__dataclass_fields__
            folder, retries = params.pop("submitit_folder"), params.pop("max_num_timeout")
            executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=retries)
            executor.update_parameters(
                **{key if key in common else f"slurm_{key}": value for key, value in params.items()}
            )
            return executor


def _result(job: Any) -> list[JobReturn]:
    found: list[JobReturn] = job.results()[0]
    return found
