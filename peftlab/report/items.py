"""What the runs of a cell said of each test item, and how sure a difference of two cells is over seeds and over items."""

from typing import TYPE_CHECKING

from peftlab.record.table import ANSWERS, CLASSES, read_rows
from peftlab.report.cell import Cell
from peftlab.report.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    from peftlab.statistics.two_variances import Sampling


def sampled(cell: Cell, baseline: Cell, metric: Metric) -> "Sampling | None":
    """The difference of two cells in % of a class mean, over both; None for other metrics, or without the answers of each run."""
    import numpy as np

    from peftlab.statistics.two_variances import two_variances

    first, second = _right(cell, metric), _right(baseline, metric)
    if first is None or second is None:
        return None
    (own, label), (other, same) = first, second
    if own.shape != other.shape or not np.array_equal(label, same) or not own.size:
        return None
    return two_variances(metric.factor * (own - other), label, np.random.default_rng(0))


def _right(cell: Cell, metric: Metric) -> "tuple[np.ndarray, np.ndarray] | None":
    """Right or wrong of each seed (rows) and item (columns) of the classes of the metric, and the items' classes as numbers."""
    import numpy as np

    rows, labels = list[list[bool]](), list[str]()
    for job in sorted((job for job in cell.jobs if job.state == "ok"), key=lambda job: job.seed or 0):
        answers, classes = job.folder / ANSWERS, job.folder / CLASSES
        if not (answers.is_file() and classes.is_file()):
            return None
        own = {row["class"] for row in read_rows(classes) if metric.label in ("mean", row["group"])}
        said = [row for row in read_rows(answers) if row["class"] in own]
        labels = [row["class"] for row in said]
        rows.append(list(map(_is_right, said)))
    if not rows or not labels or len({len(row) for row in rows}) > 1:
        return None
    return np.array(rows, dtype=np.float64), np.unique(labels, return_inverse=True)[1]


def _is_right(row: dict[str, str]) -> bool:
    """An answer that was written says it; of a class it is told by the name."""
    return row["right"] == "1" if "right" in row else row["class"] == row.get("predicted")
