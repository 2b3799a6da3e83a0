"""Section: what was swept, how it ended, and what is best."""

from math import isfinite

from peftlab.report.cell import Cell, counterpart, num_seeds
from peftlab.report.grid import best_cells, grids
from peftlab.report.job import STATES
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Section
from peftlab.report.page.study import Study


def section(study: Study) -> Section:
    """Sentences alone."""
    count = {state: sum(job.state == state for job in study.jobs) for state in STATES}
    states = ", ".join(f"{number} {state}" for state, number in count.items() if number)
    said = [
        f"**{_count(len(study.jobs), 'run')}** of {_count(len(study.cells), 'cell')}: {states}; finished runs of a cell:"
        f" {num_seeds(study.cells)}."
    ]
    if study.everywhere:
        said.append(
            "Everywhere: " + ", ".join(f"{key}={value}" for key, value in study.everywhere.items()) + "."
        )
    if study.keys:
        said.append(
            "Cells differ in " + ", ".join(study.keys) + f". Compared with {study.name(study.baseline)}."
        )
    highest = []
    for name, cells in study.by_data.items():
        where = f"On {name}: " if len(study.by_data) > 1 else ""
        highest += [where + line for metric in study.metrics for line in _best(study, cells, metric)]
    said += highest
    if any("**Highest " in line for line in highest):
        said.append(
            "The highest cells describe this sweep on its test split. What is chosen is chosen on validation."
        )
    said += study.doubts
    commits = sorted({str(job.result.get("commit"))[:7] for job in study.jobs if job.result.get("commit")})
    if commits:
        said.append("Commit " + ", ".join(commits) + ".")
    return Section("summary", "Summary", said)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _best(study: Study, cells: list[Cell], metric: Metric) -> list[str]:
    """The highest of cells that read the same data, and which others cannot be told from it."""
    found = [cell for cell in cells if cell.values(metric.name)]
    if len(cells) < 2 or not found:
        return []
    if len(found) == 1:
        (only,) = found
        return [
            f"**The only cell with a {metric.label}**: {study.name(only)}, {only.estimate(metric, study.seeds)}."
        ]
    best = max(found, key=lambda cell: cell.mean(metric.name).mean)
    baseline = counterpart(study.baseline, best)
    low = f"highest {metric.label}" if metric.label != "mean" else "highest mean"
    text = f"**{low[0].upper()}{low[1:]}**: {study.name(best)}, {best.estimate(metric, study.seeds)}"
    if baseline is not None and best is not baseline:
        bounds = best.contrast(baseline, metric.name, study.seeds)
        gap, low_gap, high_gap = (format(metric.factor * x, f"+{metric.form}") for x in bounds)
        known = isfinite(sum(bounds))
        text += f"; {gap} ({low_gap}, {high_gap}) to {study.name(baseline)}" if known else ""
    return [text + _set(cells, metric) + "."]


def _set(cells: list[Cell], metric: Metric) -> str:
    found = list(grids(cells).values())
    is_all = len(found) == 1 and all(
        any(cell is one for one in found[0]) for cell in cells if cell.values(metric.name)
    )
    best = best_cells(found[0], metric) if is_all else []
    return f"; {len(best)} of {len(found[0])} cells cannot be told from the best (Hsu, 95 %)" if best else ""
