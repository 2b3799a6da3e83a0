"""The jobs of a sweep as our own launchers compose them: what Hydra does in its `run_job` before the task function."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict, read_write


def compose_jobs(
    loader: Any, config: DictConfig, jobs: Sequence[Sequence[str]], first: int
) -> Iterator[DictConfig]:
    """The config of each job, `first` being the number of the first, with its folder as Hydra's runtime knows it."""
    setup_globals()
    for number, words in enumerate(jobs, start=first):
        composed: DictConfig = loader.load_sweep_config(config, list(words))
        with open_dict(composed):
            composed.hydra.job.id, composed.hydra.job.num = str(number), number
        folder = Path(str(composed.hydra.sweep.dir)) / str(OmegaConf.select(composed, "hydra.sweep.subdir"))
        with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
            composed.hydra.runtime.output_dir = str(folder.absolute())
        yield composed


@contextmanager
def current(config: DictConfig) -> Iterator[DictConfig]:
    """Inside, `config` is that of the job that Hydra runs; gives its part for the task."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    task = copy.deepcopy(config)
    with read_write(task), open_dict(task):
        del task["hydra"]
    try:
        yield task
    finally:
        HydraConfig.instance().cfg = before


def job_return(config: DictConfig, task: DictConfig) -> JobReturn:
    """What Hydra is told of a job, its status aside."""
    return JobReturn(
        overrides=OmegaConf.to_container(config.hydra.overrides.task),  # type: ignore[arg-type]
        cfg=task,
        hydra_cfg=config,
        working_dir=str(Path.cwd()),
        task_name=str(config.hydra.job.name),
    )


def absolute(config: DictConfig) -> None:
    """Let the jobs of a sweep find its folder from another working directory."""
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    lines = config.hydra.overrides.hydra
    with read_write(lines):
        lines.append(f'hydra.sweep.dir="{folder}"')
    with read_write(config.hydra.sweep):
        config.hydra.sweep.dir = str(folder)
