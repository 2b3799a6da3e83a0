"""Hydra's and OmegaConf's errors as one sentence: the key, the value, what is legal."""

import re
from difflib import get_close_matches

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException


def sentence(error: Exception) -> str:
    """One line for the user; the original message where it is not one of the common mistakes."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        near = get_close_matches(name, error.options, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{group}={name} is not a choice of the group {group}; legal: {', '.join(error.options)}{hint}"
    cause = error.__cause__
    text = " ".join(str(error).split())
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None and "not in struct" in str(cause):
        return _unknown_key(text, cause)
    overridden = re.search(r"Could not override '([^']+)'\. No match in the defaults list", text)
    if overridden:
        return f"{overridden.group(1)} is not a config group or key; peftlab --help lists them"
    return text


def _unknown_key(text: str, cause: OmegaConfBaseException) -> str:
    legal = sorted(str(key) for key in cause.parent_node if not str(key).startswith("_"))
    full, key = str(cause.full_key), str(cause.key)
    near = get_close_matches(key, legal, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    given = re.search(r"\+([\w.]+=\S*)", text)
    return f"{given.group(1) if given else full} is not a key of {full.rpartition('.')[0] or 'the config'}; legal: {', '.join(legal)}{hint}"
