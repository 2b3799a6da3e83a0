"""What the runs of a cell say of each class and of each test item: per_class.csv and predictions.csv."""

from collections import Counter
from collections.abc import Iterator
from math import isfinite, nan
from statistics import fmean
from typing import NamedTuple

from peftlab.record.table import ANSWERS, CLASSES, read_rows
from peftlab.report.cell import Cell


class Class(NamedTuple):
    """A class in the runs of a cell. train: its training items; val: its validation items, NaN where no run tells; both are
    means over runs. acc: the mean accuracy."""

    name: str
    group: str
    train: float
    val: float
    acc: float


def classes_of(cell: Cell) -> dict[str, Class]:
    """The classes by name, from the most to the fewest training items; none where a finished run has no table of them."""
    rows: dict[str, list[dict[str, str]]] = {}
    for job in cell.jobs:
        for row in read_rows(job.folder / CLASSES) if job.state == "ok" else []:
            if {"class", "group", "train_num", "acc"} <= row.keys():
                rows.setdefault(row["class"], []).append(row)
    found = [
        Class(
            name,
            own[0]["group"] or "",
            _mean(row["train_num"] for row in own),
            _mean(row.get("val_num") for row in own),
            _mean(row["acc"] for row in own),
        )
        for name, own in rows.items()
    ]
    return {one.name: one for one in sorted(found, key=lambda one: -one.train)}


def confusions(cell: Cell) -> Counter[tuple[str, str]]:
    """(true, predicted) -> test items, over all finished runs."""
    found: Counter[tuple[str, str]] = Counter()
    for job in cell.jobs:
        if job.state == "ok":
            rows = read_rows(job.folder / ANSWERS)
            found.update(
                (row["class"], row["predicted"]) for row in rows if {"class", "predicted"} <= row.keys()
            )
    return found


def _mean(texts: Iterator[str | None]) -> float:
    """Over the numbers that are there."""
    values = [value for value in map(_number, texts) if isfinite(value)]
    return fmean(values) if values else nan


def _number(text: str | None) -> float:
    try:
        return float(text or nan)
    except ValueError:
        return nan
