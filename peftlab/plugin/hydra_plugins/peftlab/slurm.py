"""hydra/launcher=slurm: submitit's launcher, with arrays of a size that Slurm takes, and without an end at the first lost job."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn

with suppress(ImportError):  # without it there is no class, and the command line says what to install
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

    class Slurm(SlurmLauncher):
        """Each job is composed where it runs. What Slurm takes away it brings back; what is lost is told at the end."""

        def __init__(self, max_array_size: int, **params: Any) -> None:
            super().__init__(**params)
            self.max_array_size = max_array_size

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Submit all jobs, and wait for each of them."""
            from peftlab.config.job import absolute
            from peftlab.report.callback import collected

            absolute(self.config)
            state, size = Singleton.get_state(), self.max_array_size
            calls = [
                (list(words), "hydra.sweep.dir", number, f"job_{number}", state)
                for number, words in enumerate(job_overrides, start=initial_job_idx)
            ]
            parts = [calls[start : start + size] for start in range(0, len(calls), size)]
            executor, call = self.executor(), SlurmLauncher(**self.params)  # a job can read no class of ours
            call.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
            jobs = [job for part in parts for job in executor.map_array(call, *zip(*part, strict=True))]
            print(f"{len(jobs)} jobs are in the queue, as {jobs[0].job_id} to {jobs[-1].job_id}", flush=True)
            return collected([partial(_result, job) for job in jobs], job_overrides)

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


def _result(job: Any) -> JobReturn:
    found: JobReturn = job.results()[0]
    return found
