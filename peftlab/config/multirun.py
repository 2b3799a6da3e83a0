"""What all jobs of a sweep share: Hydra composes each anew, and knows only that job's choices then."""

from pathlib import Path
from typing import Any, ClassVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from peftlab.record.record import missing

EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"


class Multirun(Callback):
    """Hydra callback that hands on to every job the sweep's folder, and which of the typed choices no job's name needs.

    Those stand on Hydra's own list of keys that do not name a folder (`override_dirname.exclude_keys`).
    """

    missing: ClassVar[list[Path]] = []  # the folders of a single run that Hydra makes before it calls us

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember which folders a refused run has to take away again."""
        Multirun.missing = missing(Path(str(config.hydra.run.dir)).absolute())

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Every job is composed with the Hydra overrides that this appends."""
        excluded = [*config.hydra.job.config.override_dirname.exclude_keys, *constant_keys(config)]
        lines = config.hydra.overrides.hydra
        with read_write(lines):
            lines.append(f"{EXCLUDED}=[{','.join(excluded)}]")
            lines.append(f'hydra.sweep.dir="{config.hydra.sweep.dir}"')


def constant_keys(config: DictConfig) -> list[str]:
    """The typed keys that have one value in all jobs of the sweep."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    swept = {override.get_key_element() for override in overrides if override.is_sweep_override()}
    keys = [override.get_key_element() for override in overrides]
    return [key.lstrip("+~") for key in keys if key not in swept]
