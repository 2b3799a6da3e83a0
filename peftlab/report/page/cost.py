"""Section: what accuracy costs: against trained parameters, time and memory, with the front of what nothing beats in both."""

from functools import partial
from math import isfinite, nan
from pathlib import Path
from statistics import fmean

from peftlab.report.cell import Cell, num_seeds
from peftlab.report.job import Job, number
from peftlab.report.markdown import median_of, trained
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Drawing, Section
from peftlab.report.page.study import Study

COSTS = {
    "parameters": "trained parameters, head aside",
    "time": "time of the training steps (s)",
    "memory": "peak memory (MiB)",
}
ALIKE = 1.05  # times and memories that differ less say nothing


def section(study: Study) -> Section | None:
    """A picture for each cost in which cells differ, of the last headline metric, which is the tail's."""
    metric = study.metrics[-1]
    drawn = []
    for cost, label in COSTS.items():
        points = [
            (cell, x)
            for cell in _cells(study)
            if isfinite(x := _cost(cell, cost)) and cell.values(metric.name)
        ]
        xs = [x for _, x in points]
        if len(points) > 1 and min(xs) >= 0 and max(xs) > ALIKE * min(xs):
            title = f"{metric.label[0].upper()}{metric.label[1:]} against {label}"
            drawn.append(Drawing(f"cost-{cost}", title, partial(_draw, study, metric, cost)))
    said = _front(study, metric)
    if len(study.by_data) > 1:
        said.insert(
            0, "Cells that read the baseline's data: accuracies of several data sets have no common front."
        )
    return Section("cost", "Cost", said, drawings=drawn) if drawn else None


def _cells(study: Study) -> list[Cell]:
    return [cell for cell in study.cells if cell.beside is study.baseline.beside]


def _cost(cell: Cell, cost: str) -> float:
    if cost == "parameters":
        return trained(cell)
    if cost == "memory":
        return median_of(cell, "memory_mib")
    times = [_steps_s(job) for job in cell.jobs if job.state == "ok"]
    return fmean(times) if times else nan


def _steps_s(job: Job) -> float:
    """Seconds of a run's own steps, its share of them where runs were fused; of the whole run in older records."""
    seconds = job.result.get("seconds")
    return number(seconds.get("steps"), job.wall_s) if isinstance(seconds, dict) else job.wall_s


def _front(study: Study, metric: Metric) -> list[str]:
    """The cells that no other beats in both, by parameters."""
    points = [(_cost(cell, "parameters"), cell) for cell in _cells(study) if cell.values(metric.name)]
    known = sorted(
        (point for point in points if isfinite(point[0])),
        key=lambda point: (point[0], -_mean(point[1], metric)),
    )
    best, named = float("-inf"), []
    for size, cell in known:
        if _mean(cell, metric) > best:
            best = _mean(cell, metric)
            named.append(f"{study.name(cell)} ({size:,.0f}: {metric.text(best)})")
    return (
        [f"**Front** of {metric.label} by trained parameters: " + ", ".join(named) + "."]
        if len(named) > 1
        else []
    )


def _mean(cell: Cell, metric: Metric) -> float:
    return cell.mean(metric.name).mean


def _draw(study: Study, metric: Metric, cost: str, *paths: Path) -> list[Path]:
    from peftlab.figure.scatter import Point, scatter_plot

    points = []
    for cell in _cells(study):
        y, low, high = (metric.factor * bound for bound in cell.interval(metric.name, study.seeds))
        x = _cost(cell, cost)
        if isfinite(x + y):
            points.append(Point(study.name(cell), x, y, low, high))
    over = (
        f"mean over {num_seeds(study.cells)} seeds"
        if study.seeds
        else "one run, score interval over test items"
    )
    title = f"{metric.label} against {COSTS[cost]} ({over}); line: the Pareto front"
    return scatter_plot(points, *paths, title=title, x_label=COSTS[cost], y_label=metric.words, front=True)
