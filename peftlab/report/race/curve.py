"""What a run reached on validation, epoch by epoch: the rows of its metrics.jsonl."""

from math import isfinite, nan
from pathlib import Path
from typing import Any

from peftlab.record.json_file import read_json
from peftlab.record.status import read_status
from peftlab.report.cell import Bounds
from peftlab.report.history import history
from peftlab.report.job import number

PRIMARY = "mean_acc"  # of task=classify: the best epoch has the highest


def curve(folder: Path, metric: str) -> dict[int, Bounds]:
    """Epoch -> `val/METRIC` with its interval over the items; NaN for an interval that is not there."""
    found = {}
    for row in history(folder):
        value, epoch = number(row.get(f"val/{metric}")), number(row.get("epoch"))
        if isfinite(value) and isfinite(epoch):
            low, high = (number(row.get(f"val/{metric}_{end}"), nan) for end in ("low", "high"))
            found[round(epoch)] = (value, low, high)
    return found


def reached(folder: Path, metric: str, select: str) -> float:
    """What a run that has trained to its end has on validation with the weights that are tested (`fit.select`); NaN if it has none.

    `best` is chosen by the metric that the record names, the mean accuracy where it names none; of equals the first.
    """
    own = {epoch: value for epoch, (value, *_) in curve(folder, metric).items()}
    chosen = (
        {epoch: value for epoch, (value, *_) in curve(folder, _primary(folder)).items()}
        if select == "best"
        else {}
    )
    epoch = max(chosen, key=lambda epoch: chosen[epoch]) if chosen else max(own, default=0)
    return own.get(epoch, nan)


def validated(folder: Path) -> list[str]:
    """The metrics of validation that a run has, as `mean_acc`."""
    names = {key.removeprefix("val/") for row in history(folder) for key in row if key.startswith("val/")}
    return sorted(name for name in names if not name.endswith(("_low", "_high", "_num")))


def trained(folder: Path) -> float:
    """Epochs that a run has trained so far."""
    return max((number(row.get("epoch"), 0.0) for row in history(folder)), default=0.0)


def _primary(folder: Path) -> str:
    """What `fit.select=best` went by, as a finished run or the last beat of another says."""
    selected: Any = read_json(folder / "result.json").get("selected")
    names = [key.removeprefix("val/") for key in selected or () if key.startswith("val/")]
    beat: Any = read_status(folder).get("beat")
    return names[0] if names else str((beat or {}).get("metric") or PRIMARY)
