"""The table that a sweep prints at its end."""

from datetime import timedelta
from math import isfinite, nan
from statistics import fmean
from typing import Any

from peftlab.inputs.plain import plain
from peftlab.report.cell import Cell, apart_text, has_seeds, metrics_of, varying
from peftlab.report.job import STATES
from peftlab.report.metric import Metric
from peftlab.report.report import Report


def print_table(report: Report) -> None:
    """One row per cell (accuracies in %, 95 % interval), then what failed and why, then the files."""
    from rich.console import Console

    console, table = Console(), _table(report)
    need = console.measure(table, options=console.options.update(width=1000)).minimum
    Console(width=max(console.width, need)).print(table)  # rich leaves out columns that do not fit
    # No markup: names hold brackets. Soft wrap: a path stays whole.
    bad = [job for job in report.jobs if job.state not in ("ok", "diverged", "stopped")]
    lines = [*(f"failed: {line}" for line in report.untold), *report.mixed]
    for job in bad:
        told = f"{job.error or 'no error recorded'}{job.place and f' ({job.place})'}"
        lines.append(f"{job.state}: {job.folder.name}: {told}")
    keys = varying(report.cells)
    if constant := [f"{k}={v}" for k, v in report.baseline.choices.items() if k not in keys]:
        lines.append(f"everywhere: {', '.join(constant)}")
    if has_seeds(report.jobs):
        to = report.baseline.label(keys) or "the only cell"
        lines.append(
            f"± is a 95 % interval over n seeds, with the variance of all cells; differences in cells.csv: to {to}"
        )
        lines += filter(
            None, [apart_text(report.cells, metrics_of(report.cells), lambda cell: cell.label(keys))]
        )
    else:
        lines.append("a-b is a 95 % score interval over n test items")
    unwritten = [f"not all files of the report are there: {report.unwritten}"] if report.unwritten else []
    for line in [*lines, *report.notes, *unwritten, *map(str, report.files)]:
        console.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def _table(report: Report) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells, seeds = report.cells, has_seeds(report.jobs)
    keys = varying(cells)
    short = [key.rsplit(".", 1)[-1] for key in keys]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for key, name in zip(keys, short, strict=True):
        brief = max(len(cell.choices.get(key, "")) for cell in cells) < 16
        table.add_column(Text(name if short.count(name) == 1 else key), overflow="fold", no_wrap=brief)
    table.add_column("state", min_width=9, overflow="fold")
    metrics = [metric for metric in metrics_of(cells) if any(cell.estimate(metric, seeds) for cell in cells)]
    for metric in metrics:
        head = f"{metric.label} {metric.unit}".rstrip() + ("" if seeds else f"\n{_items(report, metric)}")
        table.add_column(head, justify="right", min_width=6 if seeds else 9)  # a value, an interval
    for head in ["n"] * seeds + ["time"]:
        table.add_column(head, justify="right", no_wrap=True)
    for cell in sorted(cells, key=lambda cell: not (cell.count["ok"] or cell.count["diverged"])):
        times = [job.wall_s for job in cell.jobs if isfinite(job.wall_s)]
        row = [cell.choices.get(key, "") for key in keys] + [_state(cell)]
        row += [cell.estimate(metric, seeds) for metric in metrics] + [str(cell.count["ok"])] * seeds
        table.add_row(*map(Text, row), str(timedelta(seconds=round(fmean(times)))) if times else "")
    return table


def _state(cell: Cell) -> str:
    """`ok`, or how many jobs are in which state."""
    if len(cell.count) == 1:
        return next(iter(cell.count))
    return ", ".join(f"{cell.count[state]} {state}" for state in STATES if cell.count[state])


def _items(report: Report, metric: Metric) -> str:
    num = {job.metrics.get(f"test/{metric.label}_num", nan) for job in report.jobs}
    num = {n for n in num if isfinite(n)}
    return f"n={min(num):.0f}" + (f"-{max(num):.0f}" if len(num) > 1 else "") if num else ""
