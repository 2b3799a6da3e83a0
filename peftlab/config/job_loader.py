"""Hydra's loader for the many jobs of a sweep: what jobs share is composed once, and a job that is wrong is that job's failure."""

import copy
import hashlib
import shutil
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from peftlab.config.asked import PLACE
from peftlab.config.hydra_version import write_dirname
from peftlab.config.name import choices_of, slug
from peftlab.config.resolve import REFUSED
from peftlab.config.sentence import sentence
from peftlab.record.folder import NOT_A_RUN_S
from peftlab.record.status import FILE as STATUS
from peftlab.record.status import read_status

KEPT = 32  # combinations of choices of groups that stay composed


class JobLoader(ConfigLoaderImpl):
    """Composes a job from its groups, which many jobs share, and the values behind them. Equal to Hydra's own, and quicker.

    Hydra reads and merges every file of every group for each job. A value never chooses a file, so a copy of what the groups
    gave, with the job's own values put in by Hydra's function, is the same config.
    """

    def __init__(self, config_search_path: Any) -> None:
        super().__init__(config_search_path)
        self._bases: OrderedDict[tuple[str, ...], DictConfig] = OrderedDict()
        self._groups: dict[str, bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Launchers send a loader to their workers: without what it remembers."""
        return {**self.__dict__, "_bases": OrderedDict(), "_groups": {}}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of one job; of one that cannot be composed, `refused_job`."""
        words = list(sweep_overrides)
        try:
            return self._composed(master_config, words)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            typed = [word for word in words if PLACE not in word]
            base = self._composed(master_config, [word for word in words if PLACE in word])
            return refused_job(base, typed, sentence(error, typed))

    def _composed(self, master: DictConfig, words: list[str]) -> DictConfig:
        parsed = OverridesParser.create().parse_overrides(words)
        if any(
            "searchpath" in line for line in master.hydra.overrides.hydra
        ):  # other files may be groups there
            return super().load_sweep_config(master, words)
        self.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=True)
        groups = [word for word, one in zip(words, parsed, strict=True) if self._is_of_group(one)]
        values = [one for one in parsed if not self._is_of_group(one)]
        config = copy.deepcopy(self._base(master, groups))
        self._apply_overrides_to_config(values, config)
        _list(config, parsed, values)
        OmegaConf.copy_cache(from_config=master, to_config=config)
        return config

    def _is_of_group(self, override: Override) -> bool:
        key = override.key_or_group
        if key not in self._groups:
            self._groups[key] = self.repository.group_exists(key)
        return self._groups[key] or override.package is not None

    def _base(self, master: DictConfig, groups: Sequence[str]) -> DictConfig:
        key = (*master.hydra.overrides.hydra, "", *groups)
        if key not in self._bases:
            self._bases[key] = super().load_sweep_config(master, list(groups))
        self._bases.move_to_end(key)
        while len(self._bases) > KEPT:
            self._bases.popitem(last=False)
        return self._bases[key]


def _list(config: DictConfig, parsed: Sequence[Override], values: Sequence[Override]) -> None:
    """Write down the words as Hydra does; those of the groups that are Hydra's own stand there already."""
    node = config.hydra.overrides
    own = [one for one in parsed if not one.is_hydra_override()]
    node.hydra.extend([one.input_line for one in values if one.is_hydra_override()])
    node.task = [one.input_line for one in own]
    write_dirname(config, own)


def clear_refused(sweep: Path) -> None:
    """Remove what earlier commands in this folder said of jobs that could not be composed.

    These are no runs: nothing would ever finish them, and each later report would count them as failed.
    """
    for folder in sweep.glob("*-refused-*"):
        names = (
            {path.name for path in folder.iterdir()} if folder.is_dir() and not folder.is_symlink() else set()
        )
        if (
            STATUS in names
            and names <= {STATUS, *NOT_A_RUN_S}
            and read_status(folder).get("state") == "failed"
        ):
            shutil.rmtree(folder, ignore_errors=True)


def refused_job(base: DictConfig, words: Sequence[str], why: str) -> DictConfig:
    """A config that `resolve` answers with the sentence `why`, in a folder that is named by the words of the job."""
    config, typed = base, choices_of(words)
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]
    constant = set(config.hydra.job.config.override_dirname.exclude_keys)
    named = "_".join(
        f"{key.rpartition('.')[2]}-{value}" for key, value in typed.items() if key not in constant
    )
    with read_write(config), open_dict(config):
        for key in [str(key) for key in config if key != "hydra"]:
            del config[key]
        config[REFUSED] = why.replace("${", "$ {")  # nothing to look up
        config["seed"] = int(typed["seed"]) if typed.get("seed", "").isdecimal() else None
        config.hydra.sweep.subdir = slug(f"{named[:120]}-refused-{digest}")
        config.hydra.overrides.task = list(words)
        config.hydra.runtime.choices = {}
    return config
