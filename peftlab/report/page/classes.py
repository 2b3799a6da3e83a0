"""Section: accuracy of each class against how many training items it has, and what it is taken for."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from peftlab.report.cell import DATA, Cell
from peftlab.report.page.answers import Class, classes_of, confusions
from peftlab.report.page.parts import Column, Drawing, Entry, Section, Table, number, words
from peftlab.report.page.study import Study

if TYPE_CHECKING:
    import numpy as np

ROWS = 200  # classes in a table, and in the picture of a confusion
WORST = 20  # confusions in a table


class Compared(NamedTuple):
    """The baseline, and the best cell if it is another one, each with its classes; the names of both."""

    cells: list[Cell]
    names: list[str]
    classes: list[dict[str, Class]]


def section(study: Study) -> Section | None:
    """The baseline and the best cell on its data by the first metric, class by class."""
    beside = [cell for cell in study.ranked(study.metrics[0]) if cell.beside is study.baseline.beside]
    cells = [study.baseline, *(cell for cell in beside[:1] if cell is not study.baseline)]
    named = [f"{study.name(cell)} ({'baseline' if cell is study.baseline else 'best'})" for cell in cells]
    known = [(cell, name, own) for cell, name in zip(cells, named, strict=True) if (own := classes_of(cell))]
    if not known:
        return None
    found = Compared(*map(list, zip(*known, strict=True)))
    last, name = found.cells[-1], found.names[-1]
    drawings = []
    if _varies(found.classes[-1]):
        drawings.append(
            Drawing(
                "class-frequency",
                f"Accuracy of each class over its training items: {' and '.join(found.names)}",
                partial(_frequency, found),
            )
        )
    tables, counted = [_classes(found)], confusions(last)
    if counted:
        tables.append(_worst(found, counted))
        if len(found.classes[-1]) <= ROWS:
            drawings.append(
                Drawing("confusion", f"What the classes are taken for by {name}", partial(_confusion, found))
            )
    said = list(_sentences(found, counted))
    if DATA in study.keys:
        said.insert(0, f"The classes of {study.baseline.choices.get(DATA, '')}, the baseline's data set.")
    return Section("classes", "Classes", said, tables, drawings)


def _sentences(found: Compared, counted: Counter[tuple[str, str]]) -> Iterator[str]:
    for name, own in zip(found.names, found.classes, strict=True):
        rho, num = _rank(own)
        rank = (
            f"Spearman's rank correlation of a class's accuracy with its training items is {rho:.2f} over {num} classes"
            if _varies(own)
            else f"{num} classes with as many training items each"
        )
        yield f"**{name}**: {rank}; {_none(own)}."
    wrong = {pair: num for pair, num in counted.items() if pair[0] != pair[1]}
    if wrong and _varies(found.classes[-1]):
        train = {name: one.train for name, one in found.classes[-1].items()}
        up = sum(num for (true, said), num in wrong.items() if train.get(said, nan) > train.get(true, nan))
        yield (
            f"Of the errors of {found.names[-1]}, {100 * up / sum(wrong.values()):.0f} % take an item for a class with more training"
            " items than its own."
        )


def _varies(own: dict[str, Class]) -> bool:
    """Whether some classes have more training items than others."""
    return len({one.train for one in own.values()}) > 1


def _rank(own: dict[str, Class]) -> tuple[float, int]:
    """Spearman's correlation of accuracy and training items, and over how many classes; NaN where one of them does not vary."""
    from peftlab.statistics.rank import spearman

    pairs = [(one.train, one.acc) for one in own.values() if isfinite(one.train + one.acc)]
    return spearman([train for train, _ in pairs], [acc for _, acc in pairs]), len(pairs)


def _none(own: dict[str, Class]) -> str:
    zero = [name for name, one in own.items() if one.acc == 0]
    listed = ", ".join(zero[:5]) + (f" and {len(zero) - 5} more" if len(zero) > 5 else "")
    return (
        f"{len(zero)} of them have no right answer in any run ({listed})"
        if zero
        else "each has a right answer"
    )


def _classes(found: Compared) -> Table:
    has_val = any(isfinite(one.val) for one in found.classes[0].values())
    columns = [
        Column("class", is_number=False),
        Column("group", is_number=False),
        Column("training items"),
        *([Column("validation items")] if has_val else []),
        *(Column(name, "%") for name in found.names),
        *([Column("difference", "points")] if len(found.names) > 1 else []),
    ]
    shown, note = list(found.classes[-1]), "Means over runs."
    if len(shown) > ROWS:
        shown = sorted(shown, key=lambda name: -abs(_difference(found, name)))[:ROWS]
        note = f"Means over runs; the {ROWS} of {len(found.classes[-1])} classes with the largest difference."
    return Table(
        "classes", "Accuracy by class", columns, [_row(found, name, has_val) for name in shown], note
    )


def _row(found: Compared, name: str, has_val: bool) -> list[Entry]:
    own = found.classes[-1][name]
    return [
        words(name),
        words(own.group),
        number(own.train, ".3g" if own.train % 1 else ",.0f"),
        *([number(own.val, ".2g" if own.val % 1 else ",.0f")] if has_val else []),
        *(number(100 * classes[name].acc if name in classes else nan, ".1f") for classes in found.classes),
        *([number(_difference(found, name), "+.1f")] if len(found.names) > 1 else []),
    ]


def _difference(found: Compared, name: str) -> float:
    """The best cell less the baseline, in points; 0 where one of them is not known."""
    accs = [classes[name].acc for classes in found.classes if name in classes]
    value = 100 * (accs[-1] - accs[0]) if accs else 0.0
    return value if isfinite(value) else 0.0


def _worst(found: Compared, counted: Counter[tuple[str, str]]) -> Table:
    total: Counter[str] = Counter()
    for (true, _), num in counted.items():
        total[true] += num
    wrong = sorted((pair for pair in counted if pair[0] != pair[1]), key=lambda pair: -counted[pair])
    own = found.classes[-1]
    rows = [
        [
            *(words(name) for name in (true, _group(own, true), said, _group(own, said))),
            number(counted[true, said]),
            number(100 * counted[true, said] / total[true], ".1f"),
        ]
        for true, said in wrong[:WORST]
    ]
    heads = ("class", "group", "taken for", "its group")
    columns = [
        *(Column(head, is_number=False) for head in heads),
        Column("items"),
        Column("of the class", "%"),
    ]
    title = f"The most frequent confusions of {found.names[-1]}"
    return Table("confusions", title, columns, rows, "Test items, over all runs of the cell.")


def _group(own: dict[str, Class], name: str) -> str:
    return own[name].group if name in own else ""


def _frequency(found: Compared, *paths: Path) -> list[Path]:
    import numpy as np

    from peftlab.figure.points import Series, Words, draw_points

    series = []
    for name, classes in zip(found.names, found.classes, strict=True):
        own = [one for one in classes.values() if one.train > 0]
        names = [f"{name}, {one.name}, {one.train:.3g} items" for one in own]
        train, acc = np.array([one.train for one in own]), np.array([100 * one.acc for one in own])
        series.append(Series(name, train, acc, [one.group for one in own], names))
    note = "a point a class, mean over runs; lines: the mean of a group"
    draws = Words(
        "accuracy and frequency of classes", "training items of the class", "accuracy (test, %)", note
    )
    return draw_points(series, draws, *paths)


def _confusion(found: Compared, *paths: Path) -> list[Path]:
    from peftlab.figure.confusion import Matrix, draw_confusion

    names = list(found.classes[-1])
    values = [_shares(confusions(cell), names) for cell in found.cells]
    matrices = [Matrix(found.names[-1], values[-1])]
    if len(values) > 1:
        matrices.append(Matrix("less the baseline", values[-1] - values[0], differences=True))
    note = "test items over all runs; classes from the most training items to the fewest; grey: no item"
    return draw_confusion(matrices, names, ("what the classes are taken for", note), *paths)


def _shares(counted: Counter[tuple[str, str]], names: list[str]) -> "np.ndarray":
    """% of each true class (rows) by predicted class (columns)."""
    import numpy as np

    value = np.array([[counted[true, said] for said in names] for true in names], dtype=np.float64)
    total = value.sum(1, keepdims=True)
    return np.divide(100 * value, total, out=np.full(value.shape, np.nan), where=total > 0)
