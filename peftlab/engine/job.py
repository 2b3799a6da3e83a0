"""A job as every engine takes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from peftlab.config.asked import PLACE
from peftlab.config.multirun import Multirun
from peftlab.config.name import choices, task_config
from peftlab.config.summary import summary
from peftlab.record.record import Record
from peftlab.record.status import DONE, read_status


@dataclass(frozen=True)
class Job:
    """A composed config, the folder that its run is recorded in, and the sweep that it is part of, if it is."""

    config: dict[str, Any]
    record: Record
    group: str | None

    @property
    def has_ended(self) -> bool:
        """Whether its folder says that the run was measured."""
        return read_status(self.record.folder).get("state") in DONE


def job_of(cfg: DictConfig) -> Job:
    """The job that Hydra runs now; `cfg` is its config without Hydra's part."""
    root: Any = HydraConfig.instance().cfg
    sweep = root.hydra.mode == RunMode.MULTIRUN
    config = task_config(cfg)
    flat = summary(config, root.hydra.runtime.choices)
    place = OmegaConf.select(root, PLACE) if sweep else None
    number = root.hydra.job.get("num") if place is None else place
    record = Record(Path(root.hydra.runtime.output_dir), choices(root), config, number, flat)
    record.made = [] if sweep else list(Multirun.missing)
    return Job(config, record, group=Path(root.hydra.sweep.dir).name if sweep else None)
