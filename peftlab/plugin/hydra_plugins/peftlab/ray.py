"""hydra/launcher=ray: the launcher of Hydra's Ray plugin, without an end at the first lost job."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn

with suppress(ImportError):  # without it there is no class, and the command line says what to install
    from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher

    class Ray(RayLauncher):
        """Jobs are composed here. Workers may have another working directory: the sweep's folder is handed on whole."""

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Give all jobs to Ray, and wait for each of them."""
            import ray
            from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray, start_ray

            from peftlab.config.job import absolute, compose_jobs
            from peftlab.report.callback import collected

            context: Any = self.hydra_context
            absolute(self.config)
            start_ray(self.ray_cfg.init)
            configs = compose_jobs(context.config_loader, self.config, job_overrides, initial_job_idx)
            state, remote = Singleton.get_state(), self.ray_cfg.remote
            running = [
                launch_job_on_ray(context, remote, config, self.task_function, state) for config in configs
            ]
            return collected([partial(ray.get, one) for one in running], job_overrides)
