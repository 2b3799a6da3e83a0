"""Section: methods across data sets. Each data set apart, then all at once, without ranks."""

from collections.abc import Callable, Iterator
from functools import partial
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from peftlab.report.cell import DATA, Cell
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Column, Drawing, Entry, Section, Table, number, words
from peftlab.report.page.study import GROUPS, Study

if TYPE_CHECKING:
    import numpy as np

    from peftlab.figure.curves import Curve

LEVELS = 60  # at which a profile is drawn
COLOURED = 9
AGGREGATES = (
    "IQM: the mean of the middle half of all scores, every seed of every data set. P: the probability that a run is above one of the"
    " baseline on a data set that is drawn. 95 % intervals: percentile bootstrap over seeds within each data set."
)


class Across(NamedTuple):
    """Methods by data sets. cells: method -> data set -> cell; a method is named by its choices but the data set.

    tuned: choices that have one value for each data set, as its epochs, and so tell no methods apart.
    """

    names: list[str]
    methods: dict[str, dict[str, Cell]]
    baseline: str
    tuned: list[str]


def section(study: Study) -> Section | None:
    """Nothing of one data set."""
    if DATA not in study.keys:
        return None
    found = _across(study)
    tables = [table for metric in study.metrics if (table := _table(study, found, metric)) is not None]
    metric = study.metrics[0]
    scores = _scores(found, metric)
    drawings = []
    if scores:
        tables.append(_aggregates(found, metric, scores))
        title = f"Performance profiles over {len(found.names)} data sets: share of scores above each {metric.label} accuracy"
        drawings.append(Drawing("profiles", title, partial(_profiles, found, metric, scores)))
    return Section("data-sets", "Across data sets", list(_sentences(found, metric, scores)), tables, drawings)


def _across(study: Study) -> Across:
    tuned = [key for key in study.keys if key not in GROUPS and _follows(study, key)]
    keys = [key for key in study.keys if key != DATA and key not in tuned]
    methods: dict[str, dict[str, Cell]] = {}
    baseline = ""
    for cell in study.cells:
        if DATA in cell.choices:
            name = " ".join(cell.choices[key] for key in keys if key in cell.choices) or "the only method"
            methods.setdefault(name, {})[cell.choices[DATA]] = cell
            baseline = name if cell is study.baseline else baseline
    names = list(dict.fromkeys(data for cells in methods.values() for data in cells))
    return Across(names, methods, baseline, [key for key in tuned if not key.startswith(DATA)])


def _follows(study: Study, key: str) -> bool:
    """Whether a key has one value for each data set."""
    values: dict[str | None, set[str | None]] = {}
    for cell in study.cells:
        if cell.choices:
            values.setdefault(cell.choices.get(DATA), set()).add(cell.choices.get(key))
    return all(len(own) == 1 for own in values.values())


def _table(study: Study, found: Across, metric: Metric) -> Table | None:
    """Means of each method on each data set; none where no run has the metric."""
    if not any(cell.values(metric.name) for cells in found.methods.values() for cell in cells.values()):
        return None
    columns = [Column("method", is_number=False), *(Column(name, metric.unit) for name in found.names)]
    rows = [
        [words(name), *(_entry(study, cells.get(data), metric) for data in found.names)]
        for name, cells in found.methods.items()
    ]
    note = "± is a 95 % interval over seeds with the variance of all cells of a data set."
    return Table(
        f"data-sets-{metric.label}", f"{metric.words} by data set", columns, rows, note if study.seeds else ""
    )


def _entry(study: Study, cell: Cell | None, metric: Metric) -> Entry:
    if cell is None:
        return words("not run")
    value, low, high = (metric.factor * bound for bound in cell.interval(metric.name, study.seeds))
    text = cell.estimate(metric, study.seeds)
    return Entry(text or ("" if cell.count["ok"] else ", ".join(sorted(cell.count))), value, low, high)


def _scores(found: Across, metric: Metric) -> "dict[str, np.ndarray]":
    """Method -> a row for each seed that it has on all data sets, a column for each data set; without those that lack one."""
    import numpy as np

    scores = {}
    for name, cells in found.methods.items():
        if len(cells) == len(found.names):
            values = [cells[data].values(metric.name) for data in found.names]
            if seeds := sorted(set.intersection(*map(set, values))):
                scores[name] = metric.factor * np.array([[own[seed] for own in values] for seed in seeds])
    return scores


def _aggregates(found: Across, metric: Metric, scores: "dict[str, np.ndarray]") -> Table:
    import numpy as np

    from peftlab.statistics.across import interquartile_mean, probability_of_improvement

    rows = []
    for name, own in scores.items():
        rng = np.random.default_rng(0)
        row = [words(name), _bounded(interquartile_mean, [own], metric.form, rng)]
        if found.baseline in scores:
            pair = [own, scores[found.baseline]]
            is_other = name != found.baseline
            row.append(
                _bounded(probability_of_improvement, pair, ".2f", rng) if is_other else words("baseline")
            )
        rows.append([*row, number(len(own))])
    columns = [
        Column("method", is_number=False),
        Column(f"IQM of {metric.label}", metric.unit),
        *([Column(f"P(above {found.baseline})")] if found.baseline in scores else []),
        Column("seeds"),
    ]
    return Table("across", f"All {len(found.names)} data sets at once", columns, rows, AGGREGATES)


def _bounded(
    function: Callable[..., float], scores: "list[np.ndarray]", form: str, rng: "np.random.Generator"
) -> Entry:
    """A number with its interval, which one seed does not have."""
    from peftlab.statistics.across import stratified_interval

    value = float(function(*scores))
    if min(map(len, scores)) < 2:
        return Entry(format(value, form), value)
    low, high = stratified_interval(function, scores, rng)
    return Entry(f"{value:{form}} ({low:{form}}, {high:{form}})", value, low, high)


def _sentences(found: Across, metric: Metric, scores: "dict[str, np.ndarray]") -> Iterator[str]:
    left = [name for name in found.methods if name not in scores]
    yield (
        f"{len(found.methods)} methods on {len(found.names)} data sets ({', '.join(found.names)})."
        + (
            f" Without a finished run of one seed on each data set, and so not among all at once: {', '.join(left)}."
            if left
            else ""
        )
    )
    if found.tuned:
        yield f"What differs by data set, and is no method here: {', '.join(found.tuned)}."
    if len(scores) > 1:
        from peftlab.statistics.across import interquartile_mean

        mean = {name: interquartile_mean(own) for name, own in scores.items()}
        best = max(mean, key=lambda name: mean[name])
        yield f"**Highest interquartile mean** of {metric.label}: {best}, {mean[best]:{metric.form}}{metric.unit and ' ' + metric.unit}."
        if found.baseline in scores:
            told = [f"{name} on {_won(found, name, metric)}" for name in scores if name != found.baseline]
            yield f"Data sets of {len(found.names)} on which the mean is above that of {found.baseline}: {', '.join(told)}."


def _won(found: Across, name: str, metric: Metric) -> int:
    """Data sets on which a method is above the baseline."""
    return sum(
        _mean(found, name, data, metric) > _mean(found, found.baseline, data, metric) for data in found.names
    )


def _mean(found: Across, name: str, data: str, metric: Metric) -> float:
    cell = found.methods.get(name, {}).get(data)
    return cell.mean(metric.name).mean if cell is not None else nan


def _profiles(found: Across, metric: Metric, scores: "dict[str, np.ndarray]", *paths: Path) -> list[Path]:
    import numpy as np

    from peftlab.figure.curves import Panel, Words, draw_curves

    every = np.concatenate([own.ravel() for own in scores.values()])
    pad = 0.02 * (float(np.ptp(every)) or 1.0)
    levels = np.linspace(float(every.min()) - pad, float(every.max()) + pad, LEVELS)
    order = sorted(scores, key=lambda name: (name != found.baseline, -float(scores[name].mean())))
    curves = [_profile(name, scores[name], levels, place < COLOURED) for place, name in enumerate(order)]
    label = f"{metric.label} accuracy τ (test, %)" if metric.unit else f"{metric.label} τ (test)"
    note = "share of all runs of all data sets above τ: higher is better; band: 95 % over seeds"
    panel = Panel(curves, label, "share of scores above τ")
    return draw_curves([panel], Words("performance profiles", "method", note), *paths)


def _profile(name: str, scores: "np.ndarray", levels: "np.ndarray", is_coloured: bool) -> "Curve":
    import numpy as np

    from peftlab.figure.curves import Curve
    from peftlab.statistics.across import performance_profile, profile_band

    low = high = np.full(len(levels), nan)
    if is_coloured and len(scores) > 1:
        low, high = profile_band(scores, levels, np.random.default_rng(0))
    return Curve(name, levels, performance_profile(scores, levels), low, high, marked=False)
