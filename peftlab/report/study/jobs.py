"""The jobs of a trial: what may be searched with, where they run, and what they reached on validation."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

from omegaconf import DictConfig

from peftlab.config.name import task_config
from peftlab.config.resolve import resolve
from peftlab.config.validation import has_none
from peftlab.errors import UserError
from peftlab.record.lock import is_locked
from peftlab.record.status import read_status, stopped_after
from peftlab.report.race.curve import reached, validated


@dataclass(frozen=True)
class TrialJob:
    """A run of a trial: its folder, its epochs, and which of its weights are tested."""

    folder: Path
    epochs: int
    select: str

    def value(self, metric: str) -> float | None:
        """On validation at its end; NaN of one that diverged, None of one that failed.

        Raises:
            UserError: if another process writes it, if it has no validation, or not this metric.
        """
        if is_locked(self.folder):
            raise UserError(
                f"{self.folder} is written by another process; legal: the same command when that has ended"
            )
        status = read_status(self.folder)
        if status.get("state") == "diverged":
            return nan
        if status.get("state") != "ok" and stopped_after(status) != self.epochs:
            return None
        found = reached(self.folder, metric, self.select)
        if isfinite(found):
            return found
        if there := validated(self.folder):
            if metric in there:
                return nan
            raise UserError(f"hydra.sweeper.metric={metric} is not measured; legal: {', '.join(there)}")
        raise no_validation("null or 0")


def jobs_of(configs: Iterable[DictConfig], *, is_first: bool) -> list[TrialJob]:
    """The jobs of some trials. What is wrong with one alone is its own failure; `is_first`: what is wrong with all is refused.

    Raises:
        UserError: for jobs without validation items, for `fit.stop_after`, and, if nothing ran before, for what is wrong with each.
    """
    found, wrong = [], []
    for root in configs:
        config = task_config(root)
        fit = config.get("fit", {})
        if fit.get("stop_after") is not None:
            raise UserError(
                f"fit.stop_after={fit['stop_after']} is what a study sets; legal: null with hydra/sweeper=optuna"
            )
        if has_none(config):
            raise no_validation(config["dataset"]["val_fraction"])
        try:
            resolve(config)
        except UserError as error:
            wrong.append(error)
        folder = Path(str(root.hydra.runtime.output_dir))
        found.append(TrialJob(folder, fit.get("epochs", 0), str(fit.get("select"))))
    if is_first and wrong and len(wrong) == len(found):
        raise wrong[0]
    return found


def no_validation(fraction: object) -> UserError:
    """The refusal of a study without items to choose by: the test split is no choice."""
    return UserError(
        f"dataset.val_fraction={fraction} leaves a study no items to choose by; legal: above 0, as in 0.2, or a data set with a"
        " validation split"
    )
