"""`peftlab ... plan=true`: what a command would run, and nothing is run. `plan=json` is the same for programs."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from peftlab.config.job import compose_jobs
from peftlab.config.job_loader import JobLoader
from peftlab.config.multirun import planned_words
from peftlab.engine.device import devices
from peftlab.engine.plan import Planned, Total, plan, total
from peftlab.errors import UserError, stop
from peftlab.inputs.plain import plain
from peftlab.record.json_file import json_text

SCHEMA = 1
LOCAL = "hydra_plugins.peftlab.local.Local"
WORDS = {"true": "text", "false": None, "json": "json"}
NOTE = (
    "time and memory: the median of 3 steps with random inputs and weights and 10 classes, on this machine as it is now; without"
    " the start, reading data, outer steps, validation and test; hydra/launcher=fused takes less"
)


def split_plan(words: list[str]) -> tuple[list[str], Callable[[DictConfig], None] | None]:
    """The words without `plan=...`, and what shows the plan, if it is asked for: the word changes no config, name or hash.

    Raises:
        SystemExit: after a sentence, for another value.
    """
    shown = None
    for word in words:
        if word.startswith("plan="):
            value = word.removeprefix("plan=").lower()
            if value not in WORDS:
                stop(f"peftlab: {word} is not legal; legal: plan=true, plan=json, plan=false")
            shown = WORDS[value]
    left = [word for word in words if not word.startswith("plan=")]
    return left, None if shown is None else partial(print_plan, shown=shown)


def print_plan(config: DictConfig, shown: str) -> None:
    """The plan of a command; `config` is Hydra's, of a run or of a sweep.

    Raises:
        UserError: for a sweep whose jobs only its sweeper knows.
    """
    jobs = plan(_configs(config))
    whole = total(jobs, _workers(config))
    if shown == "json":
        count = Counter(job.state for job in jobs)
        told = {"schema": SCHEMA, "count": count, "note": NOTE, "total": asdict(whole)}
        print(json_text({**told, "jobs": [asdict(job) for job in jobs]}, indent=1), end="")
        return
    for line in _lines(jobs, whole):
        print(plain(line))


def _configs(config: DictConfig) -> Any:
    if OmegaConf.select(config, "hydra.mode") != RunMode.MULTIRUN:
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(config.hydra.run.dir)
        return [config]
    words = planned_words(config)
    if not words:
        raise UserError(
            "plan=true needs a sweep of lists of values (at most 10,000 jobs); legal: KEY=A,B or range(0,3)"
        )
    HydraConfig.instance().set_config(config)
    loader = JobLoader(GlobalHydra.instance().config_loader().get_search_path())
    return compose_jobs(loader, config, words, 0)


def _workers(config: DictConfig) -> int:
    """How many jobs of a command run at a time on this machine."""
    launcher = config.hydra.launcher
    if OmegaConf.select(config, "hydra.mode") != RunMode.MULTIRUN or launcher["_target_"] != LOCAL:
        return 1
    return len(devices(launcher.workers, cpu=config.get("device") == "cpu"))


def _lines(jobs: list[Planned], whole: Total) -> list[str]:
    rows = [("run", "state", "fused", "trained", "s/step", "steps", "MiB")]
    for job in jobs:
        fused = "alone" if job.alone else "" if job.group is None else f"group {job.group}"
        rows.append(
            (
                job.run,
                job.state,
                fused,
                _text(job.trained, ",d"),
                _text(job.step_s, ".4f"),
                _text(job.steps, ",d"),
                _text(job.memory_mib, ".0f"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += [f"wrong: {job.run}: {job.why}" for job in jobs if job.why]
    lines += sorted({f"alone: {job.alone}" for job in jobs if job.alone})
    count = Counter(job.state for job in jobs)
    lines.append(
        f"{len(jobs)} jobs: {', '.join(f'{number} {state}' for state, number in sorted(count.items()))}"
    )
    return [*lines, _told(whole), NOTE, "nothing was run or written"]


def _told(whole: Total) -> str:
    """The sum in a sentence."""
    if not whole.timed:
        return f"total: {whole.jobs} to run; nothing says how long"
    known = "" if whole.timed == whole.jobs else f" of the {whole.timed} that can be timed"
    memory = "" if whole.memory_mib is None else f"; the largest takes {whole.memory_mib:.0f} MiB"
    apart = f"{timedelta(seconds=round(whole.train_s))} of training{known}, one after another"
    workers = (
        f", {timedelta(seconds=round(whole.wall_s))} on {whole.workers} workers" if whole.workers > 1 else ""
    )
    return f"total: {whole.jobs} to run: {apart}{workers}{memory}"


def _text(value: float | int | None, form: str) -> str:
    return "" if value is None else format(value, form)
