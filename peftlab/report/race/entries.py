"""The jobs of a sweep as a race takes them, from their composed configs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from peftlab.config.name import choices, task_config
from peftlab.config.validation import has_none, metric_of
from peftlab.errors import UserError
from peftlab.report.race.race import Entry, no_validation


def entries_of(jobs: Iterable[DictConfig], metric: str | None) -> tuple[list[Entry], str]:
    """One entry for each job, in order, and the metric that they are compared by. What else is wrong with a job alone, it says
    itself when its turn comes.

    Raises:
        UserError: for a job without validation items, for one that is told where to stop, and for a metric that they do not share.
    """
    configs = [(root, task_config(root)) for root in jobs]
    names = sorted({metric_of(config.get("task") or {}, metric) for _, config in configs})
    if len(names) > 1:
        raise UserError(
            f"hydra.sweeper.metric=null is {' and '.join(names)} in jobs of several tasks; legal: jobs of one task"
        )
    return [_entry(root, config) for root, config in configs], names[0]


def part(words: list[str], epoch: int | Literal["end"] | None, *, first: bool) -> list[str]:
    """The words of a job that trains up to an epoch (`end`: without its test; None: all), and goes on from where the round before
    left it."""
    stop = [] if epoch is None else [f"fit.stop_after={epoch}"]
    return [*words, *stop, *([] if first else ["resume=true"])]


def _entry(root: DictConfig, config: dict[str, Any]) -> Entry:
    fit, seed = config.get("fit", {}), config.get("seed")
    if fit.get("stop_after") is not None:
        raise UserError(
            f"fit.stop_after={fit['stop_after']} is what a race sets at each of its rungs; legal: null with hydra/sweeper=racing"
        )
    if has_none(config):
        raise no_validation(config["dataset"]["val_fraction"])
    typed: dict[str, str] = choices(root)
    return Entry(
        choices={key: value for key, value in typed.items() if key != "seed"},
        seed=seed if isinstance(seed, int) else 0,
        epochs=_count(fit.get("epochs")),
        every=_count(fit.get("eval_every")),
        folder=Path(str(root.hydra.runtime.output_dir)),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1
