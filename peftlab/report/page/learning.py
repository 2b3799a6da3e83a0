"""Section: how runs learn. The loss of training, validation, and the outer loss, epoch by epoch, or by parts of few epochs."""

from functools import partial
from math import ceil, isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from peftlab.report.cell import Cell
from peftlab.report.history import history
from peftlab.report.job import number as number_of
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Column, Drawing, Section, Table, number, words
from peftlab.report.page.study import Study

if TYPE_CHECKING:
    from peftlab.figure.curves import Curve

COLOURED = 9  # cells that have a colour
BANDED = 2  # of them with a band, so that each can be seen: the best and the baseline
GREY = 51  # further cells in a picture
POINTS = 8  # of a curve of losses, at least: of fewer epochs it has parts
TRAIN, OUTER = "train/loss", "outer/loss"

Epochs = dict[float, float]  # epoch, or the part of one that ends here -> a number


class Line(NamedTuple):
    """Of a cell, by epoch: mean, lowest and highest over its finished runs, at the epochs that all of them have."""

    epochs: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]


def section(study: Study) -> Section | None:
    """Curves of the best cell, the baseline and others spread through the ranking in colour, of the rest in grey."""
    metrics = [f"val/{metric.name}" for metric in study.metrics]
    keys = [TRAIN, *metrics, OUTER]
    lines = {id(cell): _lines(cell, keys) for cell in study.cells}
    cells = [cell for cell in _order(study) if TRAIN in lines[id(cell)]]
    if not cells:
        return None
    shown = cells[: COLOURED + GREY]
    drawn = [key for key in (TRAIN, metrics[0], OUTER) if any(key in lines[id(cell)] for cell in shown)]
    drawing = Drawing(
        "learning",
        f"Loss and validation over epochs, of {len(shown)} cells; in colour {', '.join(map(study.name, shown[:COLOURED]))}",
        partial(_draw, study, shown, lines, drawn),
    )
    ranked = [cell for cell in study.ranked(study.metrics[0]) if any(cell is one for one in cells)]
    table = _table(study, ranked or cells, lines, metrics[0])
    return Section("learning", "Learning curves", _sentences(cells, lines, metrics[0]), [table], [drawing])


def _order(study: Study) -> list[Cell]:
    """The best cell, the baseline, cells at equal steps down the ranking, then the others."""
    ranked = study.ranked(study.metrics[0])
    first = [*ranked[:1], study.baseline]
    step = max(1.0, (len(ranked) - 1) / (COLOURED - 1))
    first += [ranked[round(place * step)] for place in range(COLOURED) if round(place * step) < len(ranked)]
    once = {id(cell): cell for cell in first}
    coloured = list(once.values())[:COLOURED]
    known = {id(cell) for cell in coloured}
    return coloured + [cell for cell in ranked if id(cell) not in known]


def _lines(cell: Cell, keys: list[str]) -> dict[str, Line]:
    """Key -> its line; none where no run has it."""
    runs = [_means([*history(job.folder)], keys) for job in cell.jobs if job.state == "ok"]
    found = {}
    for key in keys:
        own = [run[key] for run in runs if run[key]]
        epochs = sorted(set.intersection(*map(set, own))) if own else []
        if epochs:
            values = [[run[epoch] for run in own] for epoch in epochs]
            found[key] = Line(epochs, [*map(fmean, values)], [*map(min, values)], [*map(max, values)])
    return found


def _means(rows: list[dict[str, object]], keys: list[str]) -> dict[str, Epochs]:
    """Key -> where an epoch or, of a loss, a part of one ends -> the mean of what was written in it: epoch 1 ends at 1.0."""
    at = [number_of(row.get("epoch")) for row in rows]
    parts = _parts(max((ceil(epoch - 1e-9) for epoch in at if isfinite(epoch)), default=1))
    found: dict[str, dict[float, list[float]]] = {key: {} for key in keys}
    for epoch, row in zip(at, rows, strict=True):
        for key in keys if isfinite(epoch) else []:
            if isfinite(value := number_of(row.get(key))):
                cuts = parts if key in (TRAIN, OUTER) else 1
                found[key].setdefault(max(1, ceil(cuts * epoch - 1e-9)) / cuts, []).append(value)
    return {key: {end: fmean(values) for end, values in own.items()} for key, own in found.items()}


def _parts(epochs: int) -> int:
    """Into how many parts an epoch is cut, so that a curve of so many has `POINTS`."""
    return ceil(POINTS / max(1, epochs))


def _sentences(cells: list[Cell], lines: dict[int, dict[str, Line]], val: str) -> list[str]:
    rising = [cell for cell in cells if _rises(lines[id(cell)][TRAIN])]
    parts = {_parts(ceil(lines[id(cell)][TRAIN].epochs[-1])) for cell in cells}
    each = ["an epoch" if number == 1 else f"1/{number} of an epoch" for number in parts]
    of = each[0] if len(each) == 1 else "an epoch or a part of it"
    found = [f"Means over the finished runs of a cell; {TRAIN} is the mean over the steps of {of}."]
    if rising:
        found.append(
            f"In {len(rising)} of {len(cells)} cells the last loss is above the first: mostly too large a step."
        )
    found.append(_falling(cells, lines, val))
    return [sentence for sentence in found if sentence]


def _rises(line: Line) -> bool:
    return line.mean[-1] > line.mean[0]


def _falling(cells: list[Cell], lines: dict[int, dict[str, Line]], val: str) -> str:
    """How many cells were better on validation before their end."""
    known = [lines[id(cell)][val] for cell in cells if val in lines[id(cell)]]
    if not any(len(line.mean) > 1 for line in known):
        return ""
    early = [max(line.mean) - line.mean[-1] for line in known if len(line.mean) > 1]
    most = Metric(val.removeprefix("val/")).text(max(early, default=0.0))
    return (
        f"On validation {sum(gap > 0 for gap in early)} of {len(early)} cells have their highest mean before their last epoch, by {most}"
        " at most, which is in part chance; `fit.select=best` takes each run's best epoch."
    )


def _table(study: Study, cells: list[Cell], lines: dict[int, dict[str, Line]], val: str) -> Table:
    metric = Metric(val.removeprefix("val/"))
    has_val = any(val in lines[id(cell)] for cell in cells)
    columns = [
        *(Column(study.short[key], is_number=False) for key in study.keys),
        Column("first loss"),
        Column("last loss"),
        *(
            [Column("best val", metric.unit), Column("at epoch"), Column("last val", metric.unit)]
            if has_val
            else []
        ),
    ]
    rows = []
    for cell in cells:
        loss, own = lines[id(cell)][TRAIN], lines[id(cell)].get(val, Line([], [nan], [], []))
        best = max(range(len(own.mean)), key=lambda place: own.mean[place])
        more = [
            number(metric.factor * own.mean[best], metric.form),
            number(own.epochs[best] if own.epochs else nan),
            number(metric.factor * own.mean[-1], metric.form),
        ]
        row = [number(loss.mean[0], ".3g"), number(loss.mean[-1], ".3g"), *(more if has_val else [])]
        rows.append([*(words(cell.choices.get(key, "")) for key in study.keys), *row])
    note = "Means over runs" + (f"; val: {val}." if has_val else ".")
    return Table("learning", "Where training began and ended", columns, rows, note)


def _draw(
    study: Study, shown: list[Cell], lines: dict[int, dict[str, Line]], keys: list[str], *paths: Path
) -> list[Path]:
    from peftlab.figure.curves import Panel, Words, draw_curves

    panels = []
    for key in keys:
        metric = Metric(key.removeprefix("val/"))
        factor, label = (metric.factor, f"{key}, {metric.unit}") if metric.unit else (1, key)
        curves = [
            _curve(study.name(cell), lines[id(cell)][key], factor, place < BANDED)
            for place, cell in enumerate(shown)
            if key in lines[id(cell)]
        ]
        panels.append(Panel(curves, "epoch", label))
    return draw_curves(
        panels,
        Words(
            "learning curves",
            "cell",
            "mean over runs; band of the best cell and the baseline: from the lowest run to the highest",
        ),
        *paths,
    )


def _curve(name: str, line: Line, factor: int, is_banded: bool) -> "Curve":
    import numpy as np

    from peftlab.figure.curves import Curve

    unknown = np.full(len(line.epochs), nan)
    low, high = (
        (factor * np.array(line.low), factor * np.array(line.high)) if is_banded else (unknown, unknown)
    )
    at, marked = np.array(line.epochs, dtype=np.float64), len(line.epochs) == 1  # a line of one point is none
    return Curve(name, at, factor * np.array(line.mean), low, high, marked=marked)
