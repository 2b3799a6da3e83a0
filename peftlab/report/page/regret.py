"""Section: what a choice on validation loses on test, and what it costs to come there."""

from collections.abc import Iterator
from functools import partial
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from peftlab.record.json_file import read_json
from peftlab.report.job import number as number_of
from peftlab.report.metric import Metric
from peftlab.report.page.parts import Column, Drawing, Entry, Section, Table, number, words
from peftlab.report.page.selection import Measured, measured, scarcity, seconds
from peftlab.report.page.study import Study
from peftlab.report.race.race import FILE as RACE

if TYPE_CHECKING:
    import numpy as np

    from peftlab.figure.curves import Curve

TITLE = "Selection and regret"
NO_VALIDATION = (
    "These runs have no validation split, so **nothing may be chosen from this sweep**: its best cell on test is a description."
    " `dataset.val_fraction=0.2` holds out training items to choose on."
)
NOTE = (
    "regret: the best cell on test less the chosen one, both as means over all seeds; at random: of a cell that is drawn."
    " by one seed: the cell is chosen on the validation of one seed, over the seeds. rank: Spearman, validation and test, over cells."
)


def section(study: Study) -> Section | None:
    """The choice by validation replayed on test; without validation a sentence that forbids a choice."""
    if sum(bool(cell.values(study.metrics[0].name)) for cell in study.cells) < 2:
        said = list(_untested(study, []))
        return Section("regret", TITLE, said) if said else None
    found = measured(study)
    if not found:
        return Section("regret", TITLE, [NO_VALIDATION])
    several = len(found) > 1
    rows = [[*([words(one.name)] if several else []), *row] for one in found for row in _rows(study, one)]
    table = Table("regret", "What a choice on validation loses on test", _columns(study, several), rows, NOTE)
    sentences = [sentence for one in found for sentence in (*_sentences(study, one), *scarcity(one))]
    race = _race(study, found)
    drawings = []
    if any(_costs(one) is not None for one in found):
        title = "Regret on test of the best cell on validation over the training time spent, in a random order of the cells"
        draw = partial(_draw, study, found, race)
        drawings.append(Drawing("regret-cost", title + (", and in the race" if race else ""), draw))
    return Section("regret", TITLE, [*sentences, *_untested(study, race)], [table], drawings)


def _choices(study: Study, one: Measured) -> Iterator[tuple[Metric, Metric]]:
    """(chosen by, read on): each metric by its own validation, and the rarer ones by the first, too."""
    first = study.metrics[0]
    for metric in study.metrics:
        if one.both(metric):
            yield metric, metric
            if metric is not first:
                yield first, metric


def _columns(study: Study, several: bool) -> list[Column]:
    unit = study.metrics[0].unit and "points"
    return [
        *([Column("data set", is_number=False)] if several else []),
        *(Column(name, is_number=False) for name in ("test", "chosen by", "chosen cell")),
        Column("test of it", study.metrics[0].unit),
        Column("best cell on test", is_number=False),
        Column("test of the best", study.metrics[0].unit),
        *(Column(name, unit) for name in ("regret", "by one seed", "worst seed", "at random")),
        Column("rank"),
    ]


def _rows(study: Study, one: Measured) -> Iterator[list[Entry]]:
    from peftlab.statistics.rank import spearman
    from peftlab.statistics.regret import chosen, regret

    for by, metric in _choices(study, one):
        val, tests = one.val[by.name], one.test[metric.name]
        test = tests.mean(0)
        own, best = chosen(val.mean(0)), int(test.argmax())
        single = [regret(seed, test) for seed in val]
        points = [regret(val.mean(0), test), sum(single) / len(single), max(single), test[best] - test.mean()]
        yield [
            words(metric.label),
            words(f"val/{by.name}"),
            words(_named(study, one, own)),
            number(metric.factor * float(test[own].mean()), metric.form),
            words(study.name(one.cells[best])),
            number(metric.factor * float(test[best]), metric.form),
            *(number(metric.factor * float(value), metric.form) for value in points),
            number(spearman(val.mean(0).tolist(), test.tolist()), ".2f"),
        ]


def _named(study: Study, one: Measured, cells: list[int]) -> str:
    more = f" or {len(cells) - 1} equal" if len(cells) > 1 else ""
    return study.name(one.cells[cells[0]]) + more


def _sentences(study: Study, one: Measured) -> Iterator[str]:
    from peftlab.statistics.rank import spearman
    from peftlab.statistics.regret import chosen, regret

    begin = f"**{one.name}**: chosen" if one.name else "Chosen"
    metric = study.metrics[0]
    val, test = one.val[metric.name], one.test[metric.name].mean(0)
    lost, by_seed = regret(val.mean(0), test), [regret(seed, test) for seed in val]
    rank = spearman(val.mean(0).tolist(), test.tolist())
    own, best = _named(study, one, chosen(val.mean(0))), study.name(one.cells[int(test.argmax())])
    drawn = metric.text(float(test.max() - test.mean()))
    yield (
        f"{begin} on validation ({metric.label}, mean over {len(one.seeds)} seeds): **{own}**, which loses {metric.text(lost)}"
        f"{metric.points and ' ' + metric.points} on test to {best}, the best there; a cell that is drawn loses {drawn}."
    )
    yield (
        f"Who has one seed and chooses on its validation loses {metric.text(sum(by_seed) / len(by_seed))}"
        f" ({metric.text(min(by_seed))} to {metric.text(max(by_seed))} over the seeds). Validation and test order the {len(one.cells)}"
        f" cells with a rank correlation of {rank:.2f}."
    )


def _costs(one: Measured) -> "np.ndarray | None":
    """Training seconds of each cell; None where some are not known."""
    import numpy as np

    found = np.array([seconds(cell, one.seeds) for cell in one.cells])
    return found if np.isfinite(found).all() and (found > 0).all() else None


def _race(study: Study, found: list[Measured]) -> list[tuple[float, float]]:
    """(cost, regret) of the leader after each rung of a race over these cells, and at its end; nothing of another sweep."""
    saved = read_json(study.folders[0] / RACE)
    rungs, one = saved.get("rungs"), found[0]
    costs = _costs(one)
    if len(study.folders) > 1 or len(found) > 1 or not isinstance(rungs, list) or not rungs or costs is None:
        return []
    place = {cell.label(study.keys): number for number, cell in enumerate(one.cells)}
    if any(name not in place for rung in rungs for name in rung["cells"]):
        return []
    metric = study.metrics[0]
    val, test = one.val[metric.name].mean(0), one.test[metric.name].mean(0)
    left, spent, at, points = list(place), 0.0, 0.0, []
    for rung in (rung for rung in rungs if rung["cells"]):
        spent, at = spent + (rung["share"] - at) * sum(costs[place[name]] for name in left), rung["share"]
        ahead = max(rung["cells"], key=lambda name: number_of(rung["cells"][name]["mean"]))
        points.append((float(spent), float(test.max() - test[place[ahead]])))
        left = [name for name in left if rung["cells"].get(name, {}).get("stops") is None]
    spent += (1 - at) * sum(costs[place[name]] for name in left)
    last = max(left, key=lambda name: val[place[name]])
    return [*points, (float(spent), float(test.max() - test[place[last]]))]


def _untested(study: Study, race: list[tuple[float, float]]) -> Iterator[str]:
    if len(study.folders) == 1 and (study.folders[0] / RACE).is_file() and not race:
        untested = [cell for cell in study.cells if not cell.values(study.metrics[0].name)]
        less = (
            "no regret can be told"
            if len(study.cells) - len(untested) < 2
            else "regret is against the best of the others"
        )
        yield (
            f"This sweep is a race, and {len(untested)} of its cells have no number on test: {less}. A plain sweep into the same folder"
            " finishes them."
        )


def _draw(study: Study, found: list[Measured], race: list[tuple[float, float]], *paths: Path) -> list[Path]:
    from peftlab.figure.curves import Panel, Words, draw_curves

    metric = study.metrics[0]
    panels = []
    for one in found:
        if (costs := _costs(one)) is not None:
            curves = [_random(metric, one, costs), *([_raced(metric, race)] if race else [])]
            label = f"regret of {metric.label} (test{metric.unit and ', points'})"
            panels.append(Panel(curves, "training time spent, s", label, one.name))
    note = "chosen: the best on validation of what is trained; band: 90 % of 1,000 random orders of the cells"
    return draw_curves(panels, Words("regret and cost", "cells trained", note), *paths)


def _random(metric: Metric, one: Measured, costs: "np.ndarray") -> "Curve":
    import numpy as np

    from peftlab.figure.curves import Curve
    from peftlab.statistics.regret import replay

    val, test = one.val[metric.name].mean(0), one.test[metric.name].mean(0)
    found = replay(val, test, costs, np.random.default_rng(0))
    mean, low, high = (metric.factor * values for values in found[1:])
    return Curve("in a random order", found.cost, mean, low, high, marked=False)


def _raced(metric: Metric, race: list[tuple[float, float]]) -> "Curve":
    import numpy as np

    from peftlab.figure.curves import Curve

    cost, lost = (np.array(values) for values in zip(*race, strict=True))
    unknown = np.full(len(cost), nan)
    return Curve("as the race did", cost, metric.factor * lost, unknown, unknown)
