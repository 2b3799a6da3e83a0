"""The config of a command line, without running anything."""

from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from peftlab.config.directory import config_dir
from peftlab.config.name import register_resolvers


def composed(*words: str) -> dict[str, Any]:
    """The resolved config of `peftlab WORDS` as plain dicts, not yet checked."""
    register_resolvers()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config", list(words)), resolve=True)
    return config
