"""hydra/launcher=ray: the launcher of Hydra's Ray plugin, without an end at the first lost job."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

with suppress(ImportError):  # without it there is no class, and the command line says what to install
    from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher

    class Ray(RayLauncher):
        """Each job or fused group is a task of Ray. Workers may have another working directory: the sweep's folder is handed on whole."""

        def __init__(self, ray: Any, fused: bool, max_cells: int | None) -> None:
            super().__init__(ray)
            self.fused, self.max_cells = fused, max_cells

        def setup(self, **given: Any) -> None:
            """Keep what `launch` needs.

            Raises:
                UserError: for an option that is not legal.
            """
            from peftlab.engine.option import check_options

            check_options(fused=self.fused, max_cells=self.max_cells)
            super().setup(**given)

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Give all jobs to Ray, and wait for each of them."""
            import ray
            from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

            from peftlab.config.job import absolute
            from peftlab.plugin.remote import Call, Fusion, collected, groups, run

            absolute(self.config)
            start_ray(self.ray_cfg.init)
            needs: Any = OmegaConf.to_container(self.ray_cfg.remote, resolve=True)
            how = Fusion(self.fused, self.max_cells, at_once(ray.cluster_resources(), needs))
            given = groups(self.hydra_context, self.config, job_overrides, initial_job_idx, how)
            call = Call(self.hydra_context, self.config)
            task = ray.remote(**needs)(run) if needs else ray.remote(run)
            running = [task.remote(call, group) for group in given]
            return collected([partial(ray.get, one) for one in running], call, given)


def at_once(there: Mapping[str, float], needs: Mapping[str, Any]) -> int:
    """How many tasks that need so much (`num_cpus`, `num_gpus`) a cluster runs side by side; 1 at least."""
    sizes = {"CPU": needs.get("num_cpus"), "GPU": needs.get("num_gpus")}
    return max(1, min((int(there.get(name, 0) // size) for name, size in sizes.items() if size), default=1))
