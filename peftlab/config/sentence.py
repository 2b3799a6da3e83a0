"""Hydra's and OmegaConf's errors as one sentence: the key, the value, what is legal."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from peftlab.config.directory import config_dir, names_of
from peftlab.errors import UserError

# mappings whose keys are people's own: Hydra changes what is there, and wants a + before what is not
OPEN = ("backbone.model_args", "peft.cuts", "dataset.groups", "recipes")
HELP = "legal: what peftlab --help lists"
# what stands in Hydra's text, in one line -> the sentence
KNOWN = (
    (
        r"Ambiguous value for argument '([^=]+)=(.*?)' 1\.",
        "{0}={1} is more than one value; legal: one, a list as {0}=[{1}], or a sweep with peftlab -m",
    ),
    (
        r"Sweep parameters '(.*)' requires --multirun",
        "{0} is more than one value; legal: one, or a sweep with peftlab -m",
    ),
    (
        r"Sweeping over Hydra's configuration is not supported : '(.*)'",
        "{0} cannot be swept, as what is Hydra's own; legal: one value",
    ),
    (
        r"Could not append to config\. An item is already at '([^']+)'",
        "+{0} is a key of the config already; legal: {0}=VALUE, without the +",
    ),
    (
        r"^(\S+) appears more than once in the final defaults list",
        "+{0} adds to the group {0}, which has a choice already; legal: {0}=NAME, without the +",
    ),
    (
        r"force-add of config groups is not supported: '\++([^']+)'",
        "++{0} adds to a group, which has a choice already; legal: {0}, without the ++",
    ),
    (
        r"Could not delete from config\. The value of '([^']+)' is (.*) and not (.*)\.",
        "~{0}={2} takes away another value than {0}={1}; legal: {0}=VALUE, which replaces it",
    ),
    (
        r"Cannot find primary config '([^']*)'",
        "--config-name={0} is not there; legal: config, the only one, or a file of your own in --config-dir",
    ),
    (
        r"Additional config directory '([^']*)' not found",
        "--config-dir={0} is no folder; legal: one with YAML files of your own, as GROUP/NAME.yaml",
    ),
    (
        r"Primary config directory not found\..*'([^']*)'",
        "--config-path={0} is no folder; legal: none, or --config-dir for files of your own",
    ),
    (
        r"class : 'hydra_plugins\.peftlab\.(slurm|ray)\.",
        'hydra/launcher={0} needs packages that are not installed; legal: after pip install "peftlab[{0}]"',
    ),
    (
        r"Invalid plugin '(.*)': not the hydra_plugins package",
        "_target_={0} is no plugin of Hydra; legal: none but Hydra's own, as hydra/launcher=basic",
    ),
    (r"The --resolve flag can only be used", "--resolve prints nothing by itself; legal: with --cfg job"),
    (r"^(?:ValueError: )?Exceeds the limit .* for integer string", f"a number has too many digits; {HELP}"),
)


def check_effect(words: Sequence[str]) -> None:
    """Raises: UserError for `KEY={}`, which Hydra merges into the mapping that is there, so that nothing changes."""
    for word in words:
        empty = re.fullmatch(r"(?:\+\+)?([\w.@/]+)=\s*\{\s*\}\s*", word)
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
        options = error.options
        if group.startswith("experiment"):  # some lie in folders of the group
            group, _, name = str(error.missing_cfg_file).partition("/")
            options = sorted({*names_of(group), *options})
        return f"{group}={name} is not a choice of the group {group}; legal: {', '.join(options)}{hint(name, options)}"
    cause = error.__cause__
    text = " ".join(str(error).split())
    if isinstance(cause, OmegaConfBaseException):
        if cause.parent_node is not None and "not in struct" in str(cause):
            return _unknown_key(text, cause, words)
        merging = re.match(r"Error merging override (.*)", text)
        if merging:
            return _of_another_kind(merging.group(1), cause)
    overridden = re.search(
        r"Could not (?:override|delete) '([^']*)'|Could not delete.*'([^']+)' does not exist", text
    )
    if overridden:
        return _unknown(overridden.group(1) or overridden.group(2) or "", words)
    looked_up = re.search(r"(.*) full_key: (\S+)", text)
    if looked_up:
        return (
            f"{_given(looked_up.group(2), words)} cannot be looked up ({looked_up.group(1)}); legal: a value, or"
            " ${KEY} of a key of the config that has one"
        )
    for pattern, answer in KNOWN:
        if found := re.search(pattern, text):
            return answer.format(*found.groups())
    return text if "legal:" in text else f"{text}; {HELP}"


def hint(name: str, legal: Sequence[str]) -> str:
    """` (did you mean lora?)`, or nothing if no legal name is near."""
    near = get_close_matches(name, legal, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _given(key: str, words: Sequence[str]) -> str:
    """The word that is about this key, whole, else the key."""
    return next((word for word in words if word.partition("=")[0].lstrip("+~") == key), key)


def _unknown(key: str, words: Sequence[str]) -> str:
    """Neither a group nor a key at the place that was named."""
    parent = key.rpartition(".")[0]
    if parent in OPEN:
        return _not_yet(key, words)
    groups = sorted(path.name for path in config_dir().iterdir() if path.is_dir())
    return f"{_given(key, words)} is neither a group nor a key of this config; {HELP}{hint(key, groups)}"


def _unknown_key(text: str, cause: OmegaConfBaseException, words: Sequence[str]) -> str:
    node = cause.parent_node
    keys = node if hasattr(node, "keys") else ()
    legal = sorted(str(key) for key in keys if not str(key).startswith("_"))
    full, key = str(cause.full_key), str(cause.key)
    parent = full.rpartition(".")[0]
    if parent in OPEN:
        return _not_yet(full, words)
    told = re.search(r"\+([\w.]+=\S*)", text)
    given = _given(full, words)
    if given == full and told:
        given = told.group(1)
    if not legal:
        return f"{given} is not a key of {parent}, which is no mapping; legal: {parent}=VALUE"
    return f"{given.lstrip('+~')} is not a key of {parent or 'the config'}; legal: {', '.join(legal)}{hint(key, legal)}"


def _of_another_kind(word: str, cause: OmegaConfBaseException) -> str:
    """Hydra knows the kind of its own keys, and no value takes the place of a mapping."""
    why = str(cause).split("\n")[0]
    key = word.partition("=")[0].lstrip("+")
    choices = re.search(r"expected one of \[(.*)\]", why)
    if choices:
        return f"{word} is not legal; legal: {choices.group(1)}"
    if "object_type=list" in str(cause):
        return f"{word} is not legal; legal: a list, as {key}=[VALUE,VALUE]"
    if not key.startswith("hydra."):
        return f"{word} is not legal; legal: a mapping, as {key}={{KEY: VALUE}}, or {key}.KEY=VALUE"
    return f"{word} is not legal ({why}); legal: a value as peftlab --cfg hydra shows it"


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
