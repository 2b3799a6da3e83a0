"""One folder for all jobs of a sweep."""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class SweepFolder(Callback):
    """Hydra callback that hands the sweep's folder on to its jobs.

    Hydra composes each job anew and resolves `hydra.sweep.dir` there, where only that job's choices are known.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the resolved folder into the overrides that every job gets."""
        config.hydra.overrides.hydra.append(f'hydra.sweep.dir="{config.hydra.sweep.dir}"')
