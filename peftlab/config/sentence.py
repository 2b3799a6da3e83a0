"""Hydra's and OmegaConf's errors as one sentence: the key, the value, what is legal."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from peftlab.config.directory import config_dir
from peftlab.errors import UserError

# mappings whose keys are people's own: Hydra changes what is there, and wants a + before what is not
OPEN = ("backbone.model_args", "peft.cuts", "dataset.groups", "recipes")


def check_effect(words: Sequence[str]) -> None:
    """Raises: UserError for `KEY={}`, which Hydra merges into the mapping that is there, so that nothing changes."""
    for word in words:
        empty = re.fullmatch(r"([\w.@/]+)=\s*\{\s*\}\s*", word)
        if empty:
            raise UserError(
                f"{word} has no effect, since a mapping is merged into what is there; legal: a value for a key in it, as"
                f" {empty.group(1)}.KEY=VALUE, or nothing"
            )


def sentence(error: Exception, words: Sequence[str] = ()) -> str:
    """One line for the user; the original message where it is not one of the common mistakes.

    `words` is the command line: Hydra does not say in all its errors which word of it is wrong.
    """
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override} cannot be read; legal: KEY=VALUE, in quotes where it holds spaces or brackets"
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        near = get_close_matches(name, error.options, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{group}={name} is not a choice of the group {group}; legal: {', '.join(error.options)}{hint}"
    cause = error.__cause__
    text = " ".join(str(error).split())
    if (
        isinstance(cause, OmegaConfBaseException)
        and cause.parent_node is not None
        and "not in struct" in str(cause)
    ):
        return _unknown_key(text, cause, words)
    overridden = re.search(
        r"Could not (?:override|delete) '([^']+)'|Could not delete.*'([^']+)' does not exist", text
    )
    if overridden:
        key = overridden.group(1) or overridden.group(2)
        if key.rpartition(".")[0] in OPEN:
            return _not_yet(key, words)
        return f"{key} is neither a group nor a key of this config; legal: what peftlab --help lists"
    several = re.search(r"Ambiguous value for argument '([^=]+)=(.*?)' 1\.", text)
    if several:
        key, value = several.groups()
        return f"{key}={value} is more than one value; legal: one, a list as {key}=[{value}], or a sweep with peftlab -m"
    present = re.search(r"Could not append to config\. An item is already at '([^']+)'", text)
    if present:
        return f"+{present.group(1)} is a key of the config already; write it without the +"
    return _not_a_name(words) if "Config group override must be a string" in text else text


def _not_a_name(words: Sequence[str]) -> str:
    """`peft=null`, `peft=3`: Hydra's error has neither the group nor what was given."""
    for word in words:
        key, equals, _ = word.partition("=")
        if equals and (config_dir() / key.lstrip("+")).is_dir():
            value = OverridesParser.create().parse_override(word).value()
            if not isinstance(value, str | list):
                names = sorted(file.stem for file in (config_dir() / key.lstrip("+")).glob("*.yaml"))
                return f"{word} is not a choice of the group {key}; legal: {', '.join(names)}"
    return "a choice of a group is not a name; legal: GROUP=NAME, as peftlab --help lists them"


def _unknown_key(text: str, cause: OmegaConfBaseException, words: Sequence[str]) -> str:
    legal = sorted(str(key) for key in cause.parent_node if not str(key).startswith("_"))
    full, key = str(cause.full_key), str(cause.key)
    near = get_close_matches(key, legal, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    given = re.search(r"\+([\w.]+=\S*)", text)
    parent = full.rpartition(".")[0]
    if parent in OPEN:
        return _not_yet(full, words)
    return f"{given.group(1) if given else full} is not a key of {full.rpartition('.')[0] or 'the config'}; legal: {', '.join(legal)}{hint}"


def _not_yet(full: str, words: Sequence[str]) -> str:
    """A key of people's own, given as PARENT.KEY=VALUE or as PARENT={KEY:VALUE}, and how to add it."""
    parent, _, key = full.rpartition(".")
    given: object = "VALUE"
    for word in words:
        name, _, value = word.partition("=")
        if name == full:
            given = value
        elif name == parent:
            node = OverridesParser.create().parse_override(word).value()
            given = node.get(key, given) if isinstance(node, dict) else given
    return f"{full} is no key of {parent} yet; legal: a + before it adds one, as +{full}={given}"
