"""What all jobs of a sweep share: Hydra composes each anew, and knows only that job's choices then."""

import sys
import traceback
from collections.abc import Callable
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, ClassVar

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException

from peftlab.config.directory import names_of
from peftlab.config.name import choices_of, task_config
from peftlab.config.resolve import resolve
from peftlab.config.sentence import hint, sentence
from peftlab.config.words import check_places
from peftlab.errors import FAILED, UserError, stop
from peftlab.record.record import missing

MAX_PLANNED = 10_000  # jobs
EXCLUDED = "hydra.job.config.override_dirname.exclude_keys"


class Multirun(Callback):
    """Hydra callback that hands on to every job the sweep's folder, and which of the typed choices no job's name needs.

    Those stand on Hydra's own list of keys that do not name a folder (`override_dirname.exclude_keys`).
    """

    plan: ClassVar[Callable[[DictConfig], None] | None] = None  # of a command that is to run nothing
    missing: ClassVar[list[Path]] = []  # the folders of a single run that Hydra makes before it calls us

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse what no run can do, and remember which folders a refused run has to take away again."""
        try:
            _check(config, "hydra.run.dir")
            Multirun.missing = missing(Path(str(config.hydra.run.dir)).absolute())
        except OmegaConfBaseException:  # of an interpolation: the job will say so
            Multirun.missing = []
        _plan(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse what no sweep can do. Every job is composed with the Hydra overrides that this appends.

        A job that is wrong alone is recorded as such when its turn comes.
        """
        _check(config, "hydra.sweep.dir")
        if (wrong := wrong_throughout(config)) is not None:
            stop(f"peftlab: {wrong}")
        excluded = [*config.hydra.job.config.override_dirname.exclude_keys, *constant_keys(config)]
        lines = config.hydra.overrides.hydra
        with read_write(lines):
            lines.append(f"{EXCLUDED}=[{','.join(excluded)}]")
            lines.append(f'hydra.sweep.dir="{config.hydra.sweep.dir}"')
        _plan(config)


def _plan(config: DictConfig) -> None:
    """Show the plan, if it is asked for, and end."""
    if Multirun.plan is None:
        return
    try:
        Multirun.plan(config)
    except UserError as error:
        stop(f"peftlab: {error}")
    except Exception:  # Hydra would make it a warning, and run
        traceback.print_exc()
        sys.exit(FAILED)
    sys.exit(0)


def _check(config: DictConfig, place: str) -> None:
    """Hydra turns what a callback raises into a warning, apart from SystemExit."""
    try:
        check_places(config, place)
    except UserError as error:
        stop(f"peftlab: {error}")


def constant_keys(config: DictConfig) -> list[str]:
    """The typed keys that have one value in all jobs of the sweep."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    swept = {override.get_key_element() for override in overrides if override.is_sweep_override()}
    keys = [override.get_key_element() for override in overrides]
    return [key.lstrip("+~") for key in keys if key not in swept]


def wrong_throughout(config: DictConfig) -> str | None:
    """What is wrong with every job: one sentence for the first and the last of them, which differ in each swept key."""
    jobs = planned_words(config)
    if not jobs or any(word.startswith("~") for word in jobs[0]):
        return None
    if (unknown := _unknown_choice({word for words in jobs for word in words})) is not None:
        return unknown
    first = _wrong(jobs[0], config)
    return first if first is not None and first == _wrong(jobs[-1], config) else None


def _unknown_choice(words: set[str]) -> str | None:
    """A name that its group does not have is a slip of the whole command, and known without composing a job."""
    for word in sorted(words):
        group, _, name = word.partition("=")
        if names_of(group) and name != "null":
            options = GlobalHydra.instance().config_loader().get_group_options(group)
            legal = sorted({*options, *names_of(group)})
            if name not in legal:
                return f"{word} is not a choice of the group {group}; legal: {', '.join(legal)}{hint(name, legal)}"
    return None


def _wrong(words: list[str], config: DictConfig) -> str | None:
    try:
        resolve(task_config(compose(str(config.hydra.job.config_name), words, return_hydra_config=True)))
    except UserError as error:
        return str(error)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        return sentence(error, words)
    return None


def planned(config: DictConfig) -> list[dict[str, str]]:
    """The choices of every job of a sweep, as far as `planned_words` can say them."""
    return [choices_of(words) for words in planned_words(config)]


def planned_words(config: DictConfig) -> list[list[str]]:
    """The words of every job of a sweep that is a product of lists; none where Hydra alone can say what it will run.

    An experiment's `hydra.sweeper.params` come before what is typed, as Hydra's own sweeper has them.
    """
    params = config.hydra.sweeper.get("params") or {}
    lines = [*(f"{key}={value}" for key, value in params.items()), *config.hydra.overrides.task]
    values: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(lines):
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [str(override.get_value_element_as_str())]
        elif override.is_discrete_sweep() and override.value_type != ValueType.GLOB_CHOICE_SWEEP:
            values[key] = [str(value) for value in override.sweep_string_iterator()]
        else:
            return []
    if prod(map(len, values.values())) > MAX_PLANNED:
        return []
    return [
        [f"{key}={value}" for key, value in zip(values, job, strict=True)]
        for job in product(*values.values())
    ]
