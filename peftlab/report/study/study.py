"""A search by optuna: the trials of a study, what is to be tried next, and what each reached on validation. study.json has all of it.

What is tried next is a function of what is written there: before a trial runs it stands in the file, and a study that is started
again goes on as if it had not stopped.
"""

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from math import isfinite, prod
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from peftlab.errors import UserError
from peftlab.record.json_file import json_text, read_json
from peftlab.record.whole_file import write_whole
from peftlab.report.study.space import Space
from peftlab.stream import stream_seed

FILE = "study.json"
FORMAT = 1
SAMPLERS = ("tpe", "random", "gp", "cmaes", "grid")
ASKED, OK, DIVERGED, FAILED = "asked", "ok", "diverged", "failed"  # states of a trial


class Options(NamedTuple):
    """How many trials in all, how many are asked for together, by which sampler, from which seed, by which metric of validation."""

    n_trials: int
    n_jobs: int
    sampler: str
    seed: int
    metric: str


def check_study(options: Options, *, is_several: bool = False) -> None:
    """Raises: UserError for an option that is not legal, a package that is missing, and if torchrun has started several processes."""
    if is_several:
        raise UserError("hydra/sweeper=optuna is for one process each; legal: peftlab without torchrun")
    for key, low in (("n_trials", 1), ("n_jobs", 1), ("seed", 0)):
        value = getattr(options, key)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise UserError(f"hydra.sweeper.{key}={value} is not legal; legal: a whole number from {low}")
    if options.sampler not in SAMPLERS:
        raise UserError(f"hydra.sweeper.sampler={options.sampler} is not legal; legal: {', '.join(SAMPLERS)}")
    for package in ("optuna", *(["cmaes"] if options.sampler == "cmaes" else [])):
        if find_spec(package) is None:
            raise UserError(f'{package} is not installed; legal: after pip install "peftlab[optuna]"')


class Study:
    """The trials in `folder`. A trial has `params`, `state`, `value` (the mean over its seeds) and `values` of the seeds."""

    def __init__(self, folder: Path, space: Space, options: Options, *, resume: bool = True) -> None:
        self.folder, self.space, self.options = folder, space, options
        axes = sorted(axis.typed for axis in space.axes.values())
        self._own = {"format": FORMAT, "space": axes, "seeds": [*space.seeds], "metric": options.metric}
        saved = read_json(folder / FILE) if resume else {}
        if saved and (other := [key for key, value in self._own.items() if saved.get(key) != value]):
            raise UserError(
                f"{folder / FILE} is of a study with another {other[0]}; legal: another hydra.sweep.dir, or resume=false"
            )
        self.trials: list[dict[str, Any]] = saved.get("trials", [])
        for trial in self.trials:  # what failed is tried again, as every job of a sweep
            trial["state"] = ASKED if trial["state"] == FAILED else trial["state"]
        if options.sampler == "grid":
            self._check_grid()

    def ask(self) -> list[int]:
        """The numbers of the trials that run next: those that were asked for and have not ended, or new ones; none at the end.

        Before they run they are to be saved.
        """
        left = [number for number, trial in enumerate(self.trials) if trial["state"] == ASKED]
        if not left:
            left = self._new(min(self.options.n_jobs, self._total - len(self.trials)))
        return left[: self.options.n_jobs]

    def words(self, number: int) -> list[list[str]]:
        """The words of the jobs of a trial."""
        return self.space.words(self.trials[number]["params"])

    def tell(self, number: int, values: Sequence[float | None]) -> None:
        """What the jobs of a trial reached: NaN of one that diverged, None of one that failed."""
        known = [value for value in values if value is not None]
        state = FAILED if len(known) < len(values) else OK if all(map(isfinite, known)) else DIVERGED
        value = fmean(known) if state == OK else None
        self.trials[number].update(state=state, value=value, values=list(values))
        self.save()

    @property
    def best(self) -> int | None:
        """The number of the trial with the highest value; of equals the first. None if none has one."""
        known = [number for number, trial in enumerate(self.trials) if trial["state"] == OK]
        return max(known, key=lambda number: self.trials[number]["value"], default=None)

    @property
    def _total(self) -> int:
        if self.options.sampler != "grid":
            return self.options.n_trials
        return min(self.options.n_trials, prod(len(axis.values) for axis in self.space.axes.values()))

    def _new(self, number: int) -> list[int]:
        if number < 1:
            return []
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(direction="maximize", sampler=self._sampler())
        kinds = {key: axis.distribution for key, axis in self.space.axes.items()}
        for trial in self.trials:
            study.add_trial(_told(trial, kinds))
        first = len(self.trials)
        for _ in range(number):
            found = study.ask(fixed_distributions=kinds)
            params = {key: axis.rounded(found.params[key]) for key, axis in self.space.axes.items()}
            attrs = study.get_trials(deepcopy=False)[found.number].system_attrs
            attrs = {key: value for key, value in attrs.items() if not key.startswith(DROPPED)}
            self.trials.append({"params": params, "state": ASKED, "attrs": attrs})
        return [*range(first, len(self.trials))]

    def _sampler(self) -> Any:
        """With a seed of its own for each batch, so that nothing is remembered beside the trials."""
        from optuna import samplers

        seed = stream_seed(self.options.seed, "optuna", len(self.trials)) % 2**31
        if self.options.sampler == "tpe":  # others of the batch count as bad, so that it spreads
            return samplers.TPESampler(seed=seed, constant_liar=True)
        if self.options.sampler == "gp":
            return samplers.GPSampler(seed=seed)
        if self.options.sampler == "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if self.options.sampler == "grid":  # its order is part of what trials remember
            values = {key: [*axis.values] for key, axis in self.space.axes.items()}
            return samplers.GridSampler(values, seed=self.options.seed % 2**31)
        return samplers.RandomSampler(seed=seed)

    def _check_grid(self) -> None:
        endless = [axis.typed for axis in self.space.axes.values() if not axis.values]
        if endless:
            raise UserError(
                f"hydra.sweeper.sampler=grid has no end with {endless[0]}; legal: a list, or range()"
            )

    def save(self) -> None:
        """study.json, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(
            self.folder / FILE, json_text({**self._own, "trials": self.trials, "best": self.best}, indent=1)
        )


DROPPED = ("tpe:", "gp:")  # attributes of a trial that count while it runs


def _told(trial: dict[str, Any], kinds: dict[str, Any]) -> Any:
    """A trial as optuna knows it. One that diverged is worse than all that did not, which there is called pruned."""
    from optuna.trial import TrialState, create_trial

    state = {OK: TrialState.COMPLETE, DIVERGED: TrialState.PRUNED}.get(trial["state"], TrialState.FAIL)
    value = trial["value"] if trial["state"] == OK else None
    return create_trial(
        state=state, value=value, params=trial["params"], distributions=kinds, system_attrs=trial["attrs"]
    )
