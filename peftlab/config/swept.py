"""A Hydra callback that tells every job of a sweep which of the typed choices are the same in all jobs."""

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write


class Swept(Callback):
    """Puts the constant keys on Hydra's own list of keys that do not name a folder (`override_dirname.exclude_keys`)."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Every job is composed with the extra Hydra override that this appends."""
        overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        swept = {override.get_key_element() for override in overrides if override.is_sweep_override()}
        constant = [
            override.get_key_element().lstrip("+~")
            for override in overrides
            if override.get_key_element() not in swept
        ]
        with read_write(config), open_dict(config):
            excluded = [*config.hydra.job.config.override_dirname.exclude_keys, *constant]
            line = f"hydra.job.config.override_dirname.exclude_keys=[{','.join(excluded)}]"
            config.hydra.overrides.hydra.append(line)
