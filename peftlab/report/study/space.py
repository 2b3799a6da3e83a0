"""What a study searches, from words in Hydra's syntax: lists, choice(), range(), interval(), with tag(log, ...) on a logarithmic scale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from peftlab.errors import UserError

DIGITS = 4  # of a number that is searched: it is typed, and stands in the name of a folder
MAX_VALUES = 10_000  # of a range


@dataclass(frozen=True)
class Axis:
    """A key that is searched. `typed`: its word. Numbers lie from `low` to `high`; without these it has only its `values`."""

    typed: str
    values: tuple[Any, ...] = ()
    low: float | int | None = None
    high: float | int | None = None
    log: bool = False

    @property
    def distribution(self) -> Any:
        """What it is for optuna. A range is of its values, an interval of all numbers, whole ones if both ends are.

        Raises:
            ValueError: for ends that cannot be, as 0 on a logarithmic scale.
        """
        from optuna import distributions as kinds

        if self.low is None or self.high is None:
            return kinds.CategoricalDistribution(self.values)
        step = self.values[1] - self.values[0] if len(self.values) > 1 else None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return kinds.IntDistribution(self.low, self.high, log=self.log, step=1 if step is None else step)
        return kinds.FloatDistribution(self.low, self.high, log=self.log, step=step)

    def rounded(self, value: Any) -> Any:
        """A number with as many digits as are typed; never beyond an end."""
        if not isinstance(value, float) or self.low is None or self.high is None:
            return value
        if self.values:
            return float(f"{value:.10g}")
        return float(min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high))


@dataclass(frozen=True)
class Space:
    """`axes` by their keys; `seeds` that each trial runs with, as words; `fixed`: words of all trials."""

    axes: dict[str, Axis]
    seeds: tuple[str, ...]
    fixed: tuple[str, ...]

    def words(self, params: Mapping[str, Any]) -> list[list[str]]:
        """The words of a trial's jobs: one for each seed."""
        own = [*self.fixed, *(f"{key}={params[key]}" for key in self.axes)]
        return [[*own, seed] for seed in self.seeds] or [own]


def space_of(overrides: Iterable[Override]) -> Space:
    """The space of these words; of two with the same key the later one counts. A list of seeds is no axis: each trial has them all.

    Raises:
        UserError: if nothing is searched, or a word is none that can be.
    """
    axes, fixed, seeds = dict[str, Axis](), dict[str, str](), tuple[str, ...]()
    for override in overrides:
        key = override.get_key_element()
        axes.pop(key, None)
        fixed.pop(key, None)
        seeds = () if key == "seed" else seeds
        if key == "seed" and override.is_discrete_sweep():
            seeds = tuple(f"seed={value}" for value in override.sweep_string_iterator())
        elif override.is_sweep_override():
            axes[key] = _axis(override)
        else:
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
    if "seed" in axes:
        raise UserError(
            f"{axes['seed'].typed} is nothing to search; legal: a list, as seed=0,1, with which each trial runs"
        )
    if not axes:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search; legal: as optim.lr=tag(log,interval(1e-4,1e-1))"
        )
    return Space(axes, seeds, tuple(fixed.values()))


def _axis(override: Override) -> Axis:
    typed, value = str(override.input_line), override.value()
    log = "log" in getattr(value, "tags", ())
    try:
        if isinstance(value, IntervalSweep):
            axis = Axis(typed, (), value.start, value.end, log)
        elif isinstance(value, RangeSweep) and not value.shuffle:
            values = tuple(
                sorted(number for number, _ in zip(value.range(), range(MAX_VALUES), strict=False))
            )
            values = tuple(float(number) if isinstance(number, float) else int(number) for number in values)
            axis = Axis(typed, values, values[0], values[-1], log)
        else:
            axis = Axis(typed, tuple(override.sweep_string_iterator()))
        _ = axis.distribution
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"{typed} cannot be searched ({error}); legal: as interval(0.1,0.9), tag(log,interval(1e-4,1e-1)), range(1,9), a list"
        ) from error
    return axis
