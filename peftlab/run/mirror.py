"""What a tracker is told of a run: its record, in the words of a dashboard."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from peftlab.config.summary import KEYS
from peftlab.record.code import code
from peftlab.record.status import STOPPED
from peftlab.tracker.tracker import Scalar, Series

MAX_LINES = 100  # gammas that are drawn over time
NUM_MAPS = 4  # pictures of all gammas, the last one at the end
GROUPS = ("peft", "backbone", "dataset", "scaling")  # whose choice is a tag of every run, typed or not
BESIDE = ("_low", "_high", "_num")
FACTS = ("state", "wall_s", "step_s", "memory_mib", "diverged_at")


def series(headline: Sequence[str]) -> tuple[Series, ...]:
    """What is logged, over which axis, and what stands for it: of `headline` the best and the last on validation."""
    return (
        Series("step", None),
        Series("epoch", "step"),
        Series("*", "step"),
        *(Series(f"{group}/*", "epoch") for group in ("train", "val", "outer", "gamma")),
        *(Series(f"val/{name}", "epoch", ("max", "last")) for name in headline),
        *(Series(f"test/{name}", "epoch", ("last",)) for name in headline),
    )


def config(flat: Mapping[str, Any], raw: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The scalars that runs are grouped by on top (None where a run has none), the resolved config below `config`."""
    return {**dict.fromkeys(KEYS), **flat, **code(), **more, "config": dict(raw)}


def tags(flat: Mapping[str, Any], choices: Mapping[str, str]) -> tuple[str, ...]:
    """Every choice as it was typed, and the main ones also if they were not."""
    main = {key: flat[key] for key in GROUPS if flat.get(key) is not None}
    return tuple(f"{key}={value}" for key, value in {**main, **choices}.items())


def lines(names: Sequence[str]) -> frozenset[str]:
    """The gammas that are drawn over time, evenly chosen where there are too many."""
    number = min(len(names), MAX_LINES)
    return frozenset(names[index * len(names) // number] for index in range(number))


def scalars(row: Mapping[str, float], shown: frozenset[str]) -> dict[str, float]:
    """A row of the record without the values by site, but for the gammas of `shown`, each as `gamma/NAME`.

    Nor are there curves of what belongs to a metric: its interval and its number of items.
    """
    found = {}
    for key, value in row.items():
        group, _, name = key.removeprefix("outer/").partition("/")
        if group == "gamma" and name:
            if name in shown:
                found[f"gamma/{name}"] = value
        elif key.count("/") < 2 and not key.endswith(BESIDE):
            found[key] = value
    return found


def maps(step: int, num_steps: int) -> bool:
    """Whether all gammas are drawn after this step."""
    return step * NUM_MAPS // num_steps > (step - 1) * NUM_MAPS // num_steps


def tested(result: Mapping[str, Any]) -> dict[str, float]:
    """The headline of the test split, which charts show if it is logged as a row of its own."""
    found = {f"test/{name}": result["metrics"].get(f"test/{name}") for name in result["headline"]}
    return {key: value for key, value in found.items() if _is_number(value)}


def final(result: Mapping[str, Any], validated: Mapping[str, float]) -> dict[str, Scalar]:
    """What stands for the run: the metrics of test, those of validation with the tested weights, what it took.

    A number that is not there (an empty group is NaN) has no key.
    """
    found = {**result["metrics"], **{f"val/{key}": value for key, value in validated.items()}}
    found |= {key: result[key] for key in FACTS}
    return {key: value for key, value in found.items() if isinstance(value, str) or _is_number(value)}


def stopped(validated: Mapping[str, float]) -> dict[str, Scalar]:
    """What stands for a run that fit.stop_after has stopped: its metrics on validation, and no test."""
    found = {f"val/{key}": value for key, value in validated.items() if _is_number(value)}
    return {"state": STOPPED, **found}


def _is_number(value: Any) -> bool:
    return value is not None and isfinite(value)
