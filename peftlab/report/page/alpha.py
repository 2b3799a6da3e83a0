"""Section: accuracy over the factor of the update, with the accuracy of a guess: where it collapses."""

from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

from peftlab.record.table import CLASSES, read_rows
from peftlab.report.cell import Cell
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Drawing, Section
from peftlab.report.page.study import Study

KEY = "scaling.value"
LEAST = 3  # values that make a curve
NEAR = 1.5  # times chance: an accuracy below has collapsed


class Line(NamedTuple):
    """The cells of one combination of further choices, by alpha, the smallest first."""

    name: str
    cells: list[tuple[float, Cell]]


def section(study: Study) -> Section | None:
    """A picture if `scaling.value` has at least LEAST positive values somewhere; its axis is logarithmic."""
    lines = _lines(study)
    if not lines:
        return None
    title = "Accuracy over alpha" + (", chance dashed" if isfinite(_chance(study)) else "")
    return Section(
        "alpha",
        "Alpha",
        _said(study, lines),
        drawings=[Drawing("alpha", title, partial(_draw, study, lines, title))],
    )


def _lines(study: Study) -> list[Line]:
    keys = [key for key in study.keys if key != KEY]
    found: dict[str, list[tuple[float, Cell]]] = {}
    for cell in study.cells:
        value = _number(cell.choices.get(KEY, ""))
        if value > 0:
            name = " ".join(cell.choices[key] for key in keys if key in cell.choices)
            found.setdefault(name, []).append((value, cell))
    return [
        Line(name, sorted(cells, key=lambda pair: pair[0]))
        for name, cells in found.items()
        if len(cells) >= LEAST
    ]


def _said(study: Study, lines: list[Line]) -> list[str]:
    """Where each curve is highest, and from where on it is near chance."""
    said, chance, metric = [], _chance(study), study.metrics[0]
    for line in lines:
        known = [
            (alpha, cell.mean(metric.name).mean) for alpha, cell in line.cells if cell.values(metric.name)
        ]
        if not known:
            continue
        best, value = max(known, key=lambda pair: pair[1])
        text = (
            f"**{line.name or 'All cells'}**: highest {metric.label} {metric.text(value)} at alpha {best:g}"
        )
        low = [alpha for alpha, mean in known if alpha > best and mean < NEAR * chance]
        lost = [alpha for alpha, cell in line.cells if cell.count["diverged"]]
        text += f"; within {NEAR:g} times chance ({metric.text(chance)}) from {min(low):g} on" if low else ""
        text += f"; diverged at {', '.join(f'{alpha:g}' for alpha in lost)}" if lost else ""
        said.append(text + ".")
    return said


def _draw(study: Study, lines: list[Line], title: str, *paths: Path) -> list[Path]:
    import numpy as np

    from peftlab.figure.curves import Curve, Panel, Words, draw_curves

    panels = []
    for metric in study.metrics:
        curves = []
        for line in lines:
            y, low, high = np.array(_bounds(study, line, metric)).T
            curves.append(Curve(line.name, np.array([alpha for alpha, _ in line.cells]), y, low, high))
        level = (metric.factor * _chance(study), "chance") if metric.unit else None
        panels.append(Panel(curves, "alpha", metric.words, level=level, log=True))
    names = [study.short[key] for key in study.keys if key != KEY]
    note = (
        "Bands: 95 % intervals."
        if study.seeds
        else "One run each; bands: 95 % score intervals over test items."
    )
    return draw_curves(panels, Words(title, " ".join(names), note), *paths)


def _bounds(study: Study, line: Line, metric: Metric) -> list[tuple[float, float, float]]:
    found = [cell.interval(metric.name, study.seeds) for _, cell in line.cells]
    return [(metric.factor * value, metric.factor * low, metric.factor * high) for value, low, high in found]


def _chance(study: Study) -> float:
    """The mean accuracy of classes under a guess; NaN where runs have different numbers of classes, or record none."""
    numbers = {len(read_rows(job.folder / CLASSES)) for job in study.jobs if job.state == "ok"}
    return 1 / numbers.pop() if len(numbers) == 1 and min(numbers) else nan


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan
