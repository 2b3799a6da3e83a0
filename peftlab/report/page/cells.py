"""Section: every cell with its means, its differences to the baseline, and what it costs."""

from math import isfinite, nan
from statistics import fmean

from peftlab.report.cell import Cell, apart_text, counterpart, false_discovery
from peftlab.report.evidence import p_text
from peftlab.report.markdown import COSTS, median_of, trained
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Column, Entry, Section, Table, number, words
from peftlab.report.page.study import Study

MEANS = "± is a 95 % interval over seeds with the variance of all cells; a-b the score interval of one run over its test items."


def section(study: Study) -> Section:
    """Two tables: the numbers of each cell, and its differences to the baseline where there are others."""
    tables = [_means(study)]
    metric = study.metrics[0]
    if any(isfinite(_difference(study, cell, metric).value) for cell in study.cells):
        tables.append(_differences(study))
    return Section("cells", "Cells", tables=tables)


def _means(study: Study) -> Table:
    columns = [
        *_choices(study),
        *(Column(metric.label, metric.unit) for metric in study.metrics),
        Column("n"),
        *(Column(name) for name in (COSTS[0],)),
        Column("time", "s"),
        Column("step", "ms"),
        Column("memory", "MiB"),
    ]
    rows = []
    for cell in study.cells:
        times = [job.wall_s for job in cell.jobs if isfinite(job.wall_s)]
        rows.append(
            [
                *(words(cell.choices.get(key, "")) for key in study.keys),
                *(_mean(study, cell, metric) for metric in study.metrics),
                number(cell.count["ok"]),
                number(trained(cell)),
                number(fmean(times) if times else nan),
                number(1000 * median_of(cell, "step_s")),
                number(median_of(cell, "memory_mib")),
            ]
        )
    apart = apart_text(study.cells, study.metrics, study.name) if study.seeds else ""
    time = "mean of a run from start to end, of all together where they share their steps"
    note = f"{MEANS} trained: parameters beside the head. time: {time}; step, memory: medians."
    note += f" {apart[:1].upper()}{apart[1:]}." if apart else ""
    return Table("cells", "Cells on the test split", columns, rows, note)


def _choices(study: Study) -> list[Column]:
    return [Column(study.short[key], is_number=False) for key in study.keys]


def _mean(study: Study, cell: Cell, metric: Metric) -> Entry:
    """A mean, or the state of a cell that has none."""
    value, low, high = (metric.factor * bound for bound in cell.interval(metric.name, study.seeds))
    text = cell.estimate(metric, study.seeds)
    return Entry(text or (", ".join(sorted(cell.count)) if not cell.count["ok"] else ""), value, low, high)


def _differences(study: Study) -> Table:
    columns = _choices(study)
    share = {}
    for metric in study.metrics:
        columns.append(Column(f"{metric.label} - baseline", "points" if metric.unit else ""))
        if study.seeds:
            share[metric] = _shares(study, metric)
            columns += [Column(f"p {metric.label}"), Column(f"q {metric.label}")]
    rows = []
    for cell in study.cells:
        row = [words(cell.choices.get(key, "")) for key in study.keys]
        for metric in study.metrics:
            row.append(_difference(study, cell, metric))
            if metric in share:
                row += [Entry(p_text(p) if isfinite(p) else "", p) for p in share[metric][id(cell)]]
        rows.append(row)
    note = (
        "Paired by seed, 95 % intervals of all differences at once (max-t). p: of one difference alone; q: of it among all"
        " (Benjamini-Hochberg)."
        if study.seeds
        else "One run each: Newcombe's interval over test items."
    )
    title = f"Differences to {study.name(study.baseline)}"
    title += ", and on other data to its like there" if len(study.by_data) > 1 else ""
    return Table("differences", title, columns, rows, note)


def _shares(study: Study, metric: Metric) -> dict[int, tuple[float, float]]:
    """Cell -> its p and its q among the cells of its data."""
    found = {id(cell): (nan, nan) for cell in study.cells}
    for cells in study.by_data.values():
        baseline = counterpart(study.baseline, cells[0])
        if baseline is not None:
            pairs = zip(*false_discovery(cells, baseline, metric.name), strict=True)
            found |= dict(zip(map(id, cells), pairs, strict=True))
    return found


def _difference(study: Study, cell: Cell, metric: Metric) -> Entry:
    baseline = counterpart(study.baseline, cell)
    if baseline is None:
        return words("")
    if cell is baseline:
        return words("baseline")
    bounds = cell.contrast(baseline, metric.name, study.seeds)
    value, low, high = (metric.factor * bound for bound in bounds)
    text = format(value, f"+{metric.form}") if isfinite(value) else ""
    if text and isfinite(low + high):
        text += f" ({format(low, '+' + metric.form)}, {format(high, '+' + metric.form)})"
    return Entry(text, value, low, high)
