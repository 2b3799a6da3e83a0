"""What runs reached on validation beside what they reached on test, cell by cell and seed by seed."""

from collections.abc import Iterator
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from peftlab.report.cell import DATA, Cell
from peftlab.report.history import history
from peftlab.report.job import Job
from peftlab.report.job import number as number_of
from peftlab.report.metric import Metric
from peftlab.report.page.answers import classes_of
from peftlab.report.page.study import Study
from peftlab.report.race.curve import reached

if TYPE_CHECKING:
    import numpy as np


class Measured(NamedTuple):
    """Cells of one data set with both numbers. val, test: metric -> a row for each seed that all have, a column for each cell.

    name: of the data set where there are several.
    """

    name: str
    cells: list[Cell]
    seeds: list[int]
    val: "dict[str, np.ndarray]"
    test: "dict[str, np.ndarray]"

    def both(self, metric: Metric) -> bool:
        """Whether every cell has the metric on both splits."""
        import numpy as np

        return metric.name in self.val and bool(
            np.isfinite(self.val[metric.name] + self.test[metric.name]).all()
        )


def measured(study: Study) -> list[Measured]:
    """One for each data set that has two cells with a common seed."""
    by_data: dict[int, list[Cell]] = {}
    for cell in study.cells:
        by_data.setdefault(id(cell.beside), []).append(cell)
    found = [_measured(study, cells) for cells in by_data.values()]
    return [one for one in found if one is not None]


def _measured(study: Study, cells: list[Cell]) -> Measured | None:
    import numpy as np

    names = [metric.name for metric in study.metrics]
    numbers = [_numbers(cell, names) for cell in cells]
    known = [(cell, own) for cell, own in zip(cells, numbers, strict=True) if own]
    if len(known) < 2:
        return None
    seeds = sorted(set.intersection(*(set(own) for _, own in known)))
    if not seeds:
        return None
    val, test = (
        {
            name: np.array([[own[seed][side][place] for _, own in known] for seed in seeds])
            for place, name in enumerate(names)
        }
        for side in (0, 1)
    )
    differ = {
        key: value for key, value in known[0][0].choices.items() if key.startswith(DATA) and key in study.keys
    }
    return Measured(" ".join(differ.values()), [cell for cell, _ in known], seeds, val, test)


def _numbers(cell: Cell, names: list[str]) -> dict[int, tuple[list[float], list[float]]]:
    """Seed -> validation and test of each metric, of the finished runs that have the first metric on both."""
    found = {}
    for job in cell.jobs if not cell.mixed else []:
        if job.state == "ok" and isfinite(job.metrics.get(f"test/{names[0]}", nan)):
            val = [reached(job.folder, name, _select(job)) for name in names]
            if isfinite(val[0]):
                found[job.seed or 0] = (val, [job.metrics.get(f"test/{name}", nan) for name in names])
    return found


def _select(job: Job) -> str:
    """Which weights were tested."""
    selected = job.result.get("selected")
    return str(selected.get("by")) if isinstance(selected, dict) else "last"


def scarcity(found: Measured) -> Iterator[str]:
    """How little validation says of rare classes: classes with 0 and with 1 item, and the items of each group."""
    cell = found.cells[0]
    classes = [one for one in classes_of(cell).values() if isfinite(one.val)]
    rows = [list(history(job.folder)) for job in cell.jobs if job.state == "ok"]
    last: dict[str, Any] = next((row for own in rows for row in reversed(own) if "val/mean_num" in row), {})
    items = {name: number_of(last.get(f"val/{name}_num")) for name in ("mean", "tail")}
    where = f" of {found.name}" if found.name else ""
    if classes:
        none, single = ([one.group for one in classes if round(one.val) == num] for num in (0, 1))
        yield (
            f"**Scarcity**: of {len(classes)} classes{where}, {len(none)} have no validation item{_of_tail(none)} and {len(single)} have"
            f" one{_of_tail(single)}{_all(items)}."
        )
    elif isfinite(items["mean"]):
        absent = number_of(last.get("val/num_absent"), 0.0)
        yield f"**Scarcity**: {absent:.0f} classes{where} have no validation item{_all(items)}."


def _of_tail(groups: list[str]) -> str:
    tail = groups.count("tail")
    return f" ({tail} of the tail)" if tail else ""


def _all(items: dict[str, float]) -> str:
    if not all(map(isfinite, items.values())):
        return ""
    mean, tail = items["mean"], items["tail"]
    share = (
        f"{tail:.0f} of the tail, so that one item there is {100 / tail:.1f} % of its answers"
        if tail
        else "none of the tail"
    )
    return f"; {mean:.0f} items in all, {share}"


def seconds(cell: Cell, seeds: list[int]) -> float:
    """Training time of these runs of a cell, in seconds."""
    found = []
    for job in cell.jobs:
        if job.state == "ok" and (job.seed or 0) in seeds:
            spent = job.result.get("seconds")
            train = number_of(spent.get("train")) if isinstance(spent, dict) else nan
            found.append(train if isfinite(train) else job.wall_s)
    return sum(found) if found else nan
