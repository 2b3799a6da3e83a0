"""What `peftlab-sweep --plan POINTS` prints: how many seeds a difference needs, from the runs that there are."""

from collections.abc import Iterator
from math import isfinite

from peftlab.errors import UserError
from peftlab.report.beside import Beside
from peftlab.report.cell import metrics_of
from peftlab.report.metric import Metric
from peftlab.report.report import Report

ROW = "{:>9}  {:>9}  {:>9}  {:>9}  {}"


def plan_lines(report: Report, points: float) -> list[str]:
    """For each headline metric, paired seeds at which a true difference of `points` is found four times of five.

    Raises: UserError for points that are none, or a sweep that says nothing of the error.
    """
    if not (isfinite(points) and points > 0):
        raise UserError(f"--plan={points:g} is not legal; legal: percentage points above 0, as 1.0")
    beside = {id(cell.beside): cell.beside for cell in report.cells}
    lines = [
        line
        for one in beside.values()
        for metric in metrics_of(report.cells)
        for line in _lines(one, metric, points)
    ]
    if not lines:
        raise UserError("--plan needs a pilot: at least two cells that finished under two common seeds")
    head = f"paired seeds for a true difference of {points:g}, found with 80 % at the 95 % level"
    return [
        head,
        ROW.format("metric", "error", "one pair", "baseline", "every pair"),
        *lines,
        "error: standard deviation of a run beside its cell and seed. a (b): as the pilot says, and if its error is at the upper",
        "end of what the pilot allows (80 %). one pair: named beforehand; baseline: every cell with it; every pair: each with each.",
    ]


def _lines(beside: Beside, metric: Metric, points: float) -> Iterator[str]:
    from peftlab.statistics.planner import CLAIMS, MOST, plan

    blocks = beside.blocks(metric.name)
    num_cells = int((blocks.num > 0).sum())
    if num_cells < 2 or not blocks.error.df > 0:
        return
    found = plan(points / metric.factor, blocks.error, num_cells)

    def seeds(number: int | None) -> str:
        return f">{MOST}" if number is None else str(number)

    words = [f"{seeds(found.seeds[claim])} ({seeds(found.seeds_high[claim])})" for claim in CLAIMS]
    yield ROW.format(metric.label, f"{metric.factor * found.error:.2f}", *words)
