"""The config of a command line, without running anything."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from peftlab.config.directory import config_dir
from peftlab.config.hydra_version import VERSION_BASE
from peftlab.config.name import register_resolvers
from peftlab.config.sentence import check_effect, sentence
from peftlab.errors import UserError

Given = str | Mapping[str, Any] | None


@contextmanager
def opened_configs() -> Iterator[None]:
    """Hydra composes from `configs/` inside of it."""
    register_resolvers()
    with initialize_config_dir(str(config_dir()), **VERSION_BASE):
        yield


def composed(*words: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The resolved config of `peftlab WORDS` as plain dicts, not yet checked.

    `options` are values by dotted key, put in after the words and before interpolations are resolved.
    """
    check_effect(words)
    with opened_configs():
        found = compose("config", list(words))
        for key, value in (options or {}).items():
            OmegaConf.update(found, key, value, merge=True, force_add=True)
        config: Any = OmegaConf.to_container(found, resolve=True)
    return config


def composed_of(given: Mapping[str, Given], *words: str) -> dict[str, Any]:
    """The config with these choices: of each group a name, or options with `name` (else of the default choice), or None.

    Raises:
        UserError: for a choice that does not exist.
    """
    chosen = list(words)
    options: dict[str, Any] = {}
    for group, value in given.items():
        named = {"name": value} if isinstance(value, str) else dict(value or {})
        if "name" in named:
            chosen.append(f"{group}={named.pop('name')}")
        for key, own in named.items():
            if isinstance(own, str) and (config_dir() / group / key).is_dir():  # scaling/estimator
                chosen.append(f"{group}/{key}={own}")
            else:
                options[f"{group}.{key}"] = own
    try:
        return composed(*chosen, options=options)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error, chosen)) from error
