"""What Hydra takes from a command line, and a run has no meaning for: told before a config is composed, or a folder made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from peftlab.config.directory import names_of
from peftlab.errors import UserError
from peftlab.record.whole_file import WAY_OUT, check_place

OPTIONAL = ("experiment", "recipe")  # groups of which there may be none


def check_choices(words: Sequence[str]) -> None:
    """Every group that is named has one choice, or several names in a sweep. Words that Hydra cannot read are left to it.

    Raises:
        UserError: for a list, which Hydra would merge, and for what is no name.
    """
    for word, override in _read(words):
        group = override.key_or_group
        if not group:
            raise UserError(f"{word} has no key; legal: KEY=VALUE")
        names = names_of(group)
        for value in _values(override) if names and override.package is None else ():
            if isinstance(value, list) and len(value) > 1:
                told = ",".join(map(str, value))
                raise UserError(
                    f"{word} chooses several of the group {group}, which has one; legal: {', '.join(names)}, or a sweep"
                    f" with peftlab -m {group}={told}"
                )
            is_name = isinstance(value, str | QuotedString) and str(getattr(value, "text", value))
            if not is_name and not (value is None and group in OPTIONAL) and not override.is_delete():
                raise UserError(f"{word} is not a choice of the group {group}; legal: {', '.join(names)}")


def check_places(config: DictConfig, key: str) -> None:
    """The folder that `hydra.run.dir` or `hydra.sweep.dir` names can be one, and a sweep has batches of jobs.

    Raises:
        UserError: if not.
    """
    folder = str(OmegaConf.select(config, key))
    if not folder.strip():
        raise UserError(f"{key} is empty; legal: a folder, as {key}=. for the working directory")
    if Path(folder).is_file():
        raise UserError(f"{key}={folder} cannot be written: it is not a folder; {WAY_OUT}")
    check_place(Path(folder), key)
    if key != "hydra.sweep.dir":
        return
    size = OmegaConf.select(config, "hydra.sweeper.max_batch_size")
    if size is not None and (type(size) is not int or size < 1):
        raise UserError(
            f"hydra.sweeper.max_batch_size={size} is not legal; legal: a whole number above 0, or null"
        )
    sweep: Any = OmegaConf.to_container(config.hydra.sweep)  # without looking up what a job alone has
    subdir = str(sweep["subdir"]).strip()
    swept = any(override.is_sweep_override() for _, override in _read(_typed(config)))
    if not subdir or ("${" not in subdir and swept):
        raise UserError(
            f"hydra.sweep.subdir={subdir} is {'one folder for all jobs' if subdir else 'empty'}; legal: another one for each"
            " job, as '${hydra.job.num}'"
        )


def _typed(config: DictConfig) -> list[str]:
    """The words, without looking up what they interpolate."""
    words: Any = OmegaConf.to_container(config.hydra.overrides.task)
    return list(words)


def _read(words: Sequence[str]) -> Iterator[tuple[str, Override]]:
    parser = OverridesParser.create()
    for word in words:
        try:
            yield word, parser.parse_override(word)
        except HydraException:
            continue


def _values(override: Override) -> list[Any]:
    """The value of a word, or those of its sweep."""
    value = override._value
    return list(value.list) if isinstance(value, ChoiceSweep) else [override.value()]
