"""The sweeps among runs: each as a row of its own, with the keys of a run's row where all of its runs share a value."""

from statistics import fmean
from typing import Any

from peftlab.config.summary import KEYS
from peftlab.report.metric import Metric
from peftlab.report.runs.row import DAMAGED, KILLED, Row, is_number

WORST = (
    "running",
    KILLED,
    "interrupted",
    DAMAGED,
    "failed",
    "diverged",
    "stopped",
    "ok",
)  # the first that a run has is the sweep's


def sweeps(rows: list[Row]) -> list[Row]:
    """A row for each sweep that these runs are part of, in their order.

    `runs` and `ok` are how many there are and how many are finished, `varies` the keys that differ, `best` the cell with the
    highest first metric. A headline metric is the highest of a cell, in %, as the mean over its seeds: a description of the
    sweep, no choice of a method.
    """
    by_folder: dict[Any, list[Row]] = {}
    for row in rows:
        if row.values["sweep"] is not None:
            by_folder.setdefault(row.folder.parent, []).append(row)
    return [_row(own) for own in by_folder.values()]


def _row(rows: list[Row]) -> Row:
    first, states = rows[0], {row.state for row in rows}
    metrics = tuple(dict.fromkeys(metric for row in rows for metric in row.metrics))
    values = {key: {str(row.values.get(key)) for row in rows} for key in KEYS}
    varies = [key for key in KEYS if len(values[key]) > 1 and key != "num_parameters"]
    best = {metric: _best(rows, metric) for metric in metrics}
    times = [row.values["wall_s"] for row in rows if is_number(row.values["wall_s"])]
    started = [row.values["started"] for row in rows if is_number(row.values["started"])]
    found = {
        "sweep": first.values["run"].rpartition("/")[0] or first.values["sweep"],
        "state": next((state for state in WORST if state in states), first.state),
        "runs": len(rows),
        "ok": sum(row.state == "ok" for row in rows),
        **{key: first.values.get(key) if len(values[key]) == 1 else None for key in KEYS},
        **{metric.label: value for metric, (value, _) in best.items() if value is not None},
        "wall_s": sum(times) if times else None,
        "started": min(started) if started else None,
        "varies": " ".join(varies),
        "best": next((cell for _, cell in best.values() if cell), None),
    }
    return Row(first.folder.parent, found, metrics, {}, {})


def _best(rows: list[Row], metric: Metric) -> tuple[float | None, str | None]:
    """The highest mean of a cell, and which cell that is, by what was typed for it."""
    typed = dict.fromkeys(key for row in rows for key in row.values if key.startswith("choices."))
    keys = [
        key for key in typed if len({str(row.values.get(key)) for row in rows}) > 1 and key != "choices.seed"
    ]
    cells: dict[str, list[float]] = {}
    for row in rows:
        value: Any = row.values.get(metric.label)
        if is_number(value):
            name = ",".join(f"{key.removeprefix('choices.')}={row.values.get(key)}" for key in keys)
            cells.setdefault(name or "the only cell", []).append(value)
    if not cells:
        return None, None
    best = max(cells, key=lambda name: fmean(cells[name]))
    return fmean(cells[best]), best
