"""The config of a command line, without running anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from peftlab.config.directory import config_dir
from peftlab.config.hydra_version import VERSION_BASE
from peftlab.config.name import register_resolvers


@contextmanager
def opened_configs() -> Iterator[None]:
    """Hydra composes from `configs/` inside of it."""
    register_resolvers()
    with initialize_config_dir(str(config_dir()), **VERSION_BASE):
        yield


def composed(*words: str) -> dict[str, Any]:
    """The resolved config of `peftlab WORDS` as plain dicts, not yet checked."""
    with opened_configs():
        config: Any = OmegaConf.to_container(compose("config", list(words)), resolve=True)
    return config
