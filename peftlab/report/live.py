"""The report of a sweep in a tracker: one run of the group, brought up to date as jobs end."""

import csv
import hashlib
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from math import isfinite
from pathlib import Path
from typing import Any

from peftlab.config.resolve import choice
from peftlab.config.summary import KEYS
from peftlab.record.code import code
from peftlab.report.cell import Cell, has_seeds, metrics_of, varying
from peftlab.report.report import Report, write_report
from peftlab.tracker.tracker import Opening, Safe, Scalar, Series, one_line, tell

EVERY_S = 60.0  # between two updates
SHARE = 20  # and an update takes at most one part in so many of the time
MAX_IMAGES = 20
NONE = "none"  # tracker=none
MAX_CELLS = 200  # of a sweep whose page is made without being asked for
PAGE = "report"  # the folder of a page, in that of a sweep


class Live:
    """The report of the sweep in `folder`, for the tracker of its jobs. The same folder is the same run of the tracker."""

    def __init__(self, folder: Path, baseline: str | None) -> None:
        self.folder, self.baseline = folder, baseline
        self._tracker: Safe | None = None
        self._next = 0.0

    def update(self, tracker: Mapping[str, Any]) -> None:
        """A job has ended whose tracker this is. What is wrong with the report is told at the end of the sweep."""
        began = time.monotonic()
        if began < self._next or not self._open(tracker):
            return
        with suppress(Exception):  # a report that cannot be written now: the end of the sweep says why
            self._show(write_report(self.folder, baseline=self.baseline))
        ended = time.monotonic()
        self._next = ended + max(EVERY_S, SHARE * (ended - began))

    def finish(self, report: Report | None) -> None:
        """The last state of the sweep, None if there is no report."""
        if self._tracker is None:
            return
        found: dict[str, Scalar] = {}
        try:
            if report is not None:
                self._show(report)
                found = summary(report)
                self._show_page(report)
        except Exception as error:
            tell("tracker", f"report: {one_line(error)}; the sweep is reported in {self.folder}")
        self._tracker.finish(found, exit_code=int(not found))
        self._tracker = None

    def _open(self, node: Mapping[str, Any]) -> bool:
        if self._tracker is None:
            make = choice(dict(node))
            if make.word == NONE:
                return False
            self._tracker = Safe(make, make.word)
            self._tracker.start(opening(self.folder, self.baseline))
        return True

    def _show_page(self, report: Report) -> None:
        """The page of the whole sweep and its tables, which are made for it: `peftlab-report` has more formats."""
        from peftlab.report.page.report import Request, write_page  # a page is for the end of a sweep
        from peftlab.report.page.tables import plain_rows

        tracker, step = self._tracker, _step(report)
        if tracker is None or len(report.cells) > MAX_CELLS:
            return
        page, sections = write_page(Request([self.folder], self.folder / PAGE, self.baseline), ("svg",))
        tracker.page("sweep/page", page, step=step)
        for table in (table for section in sections for one in section.all for table in one.tables):
            heads, *rows = plain_rows(table)
            tracker.table(f"report/{table.name}", heads, rows, step=step)

    def _show(self, report: Report) -> None:
        tracker, step = self._tracker, _step(report)
        assert tracker is not None
        for name, table in tables(report).items():
            tracker.table(f"sweep/{name}", table[0], table[1:], step=step)
        pictures = [path for path in report.files if path.suffix == ".png"]
        for path in pictures[:MAX_IMAGES]:
            tracker.image(f"sweep/{path.stem}", nullcontext(path), step=step)
        numbers = {
            key: float(value) for key, value in summary(report).items() if isinstance(value, int | float)
        }
        tracker.log(numbers, step=step)


def _step(report: Report) -> int:
    """The axis of a report: the jobs that have ended."""
    return report.num_ok + report.num_diverged + report.num_failed


def opening(folder: Path, baseline: str | None) -> Opening:
    """The report's own run; its id is that of the sweep's name, which holds the hash of all that was asked for."""
    name = folder.resolve().name
    return Opening(
        run_id=hashlib.sha256(f"report/{name}".encode(errors="surrogateescape")).hexdigest()[:16],
        name=f"report of {name}",
        group=name,
        kind="report",
        tags=("report",),
        config={**dict.fromkeys(KEYS), **code(), "sweep": name, "baseline": baseline},
        folder=folder,
        series=(Series("step", None), Series("*", "step")),
    )


def tables(report: Report) -> dict[str, list[list[Any]]]:
    """`jobs`: sweep.csv; `cells`: the best on average first; `best`: the best cell of each metric. Accuracies are fractions."""
    keys, seeds = varying(report.cells), has_seeds(report.jobs)
    metrics = [metric.name for metric in metrics_of(report.cells)]
    columns = [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]
    rows = [
        [*(cell.choices.get(key) for key in keys), cell.count["ok"], *_numbers(cell, metrics, seeds)]
        for cell in sorted(report.cells, key=lambda cell: -_value(cell, metrics[0], seeds, -1.0))
    ]
    best = [
        [
            metric,
            cell.label(keys) or "the only cell",
            cell.count["ok"],
            *map(_number, cell.interval(metric, seeds)),
        ]
        for metric, cell in best_cells(report).items()
    ]
    found: dict[str, list[list[Any]]] = {
        "cells": [[*keys, "num_ok", *columns], *rows],
        "best": [["metric", "cell", "num_ok", "value", "low", "high"], *best],
    }
    jobs = next((path for path in report.files if path.name == "sweep.csv"), None)
    return found if jobs is None else {"jobs": _typed(jobs), **found}


def best_cells(report: Report) -> dict[str, Cell]:
    """Of each metric, the cell with the highest mean on test: a description of the grid, no choice of a method."""
    seeds = has_seeds(report.jobs)
    found = {}
    for metric in (metric.name for metric in metrics_of(report.cells)):
        known = [cell for cell in report.cells if isfinite(_value(cell, metric, seeds))]
        if known:
            found[metric] = max(known, key=lambda cell: _value(cell, metric, seeds))
    return found


def summary(report: Report) -> dict[str, Scalar]:
    """How many jobs are in which state, and the best cells."""
    keys, seeds = varying(report.cells), has_seeds(report.jobs)
    states = ("ok", "failed", "diverged", "stopped", "interrupted", "unfinished")
    found: dict[str, Scalar] = {f"num_{state}": getattr(report, f"num_{state}") for state in states}
    for metric, cell in best_cells(report).items():
        found[f"best/{metric}"] = _value(cell, metric, seeds)
        found[f"best/{metric}_cell"] = cell.label(keys) or "the only cell"
    return found


def _value(cell: Cell, metric: str, seeds: bool, missing: float = float("nan")) -> float:
    value = cell.interval(metric, seeds)[0]
    return value if isfinite(value) else missing


def _numbers(cell: Cell, metrics: list[str], seeds: bool) -> list[float | None]:
    return [_number(value) for metric in metrics for value in cell.interval(metric, seeds)]


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _typed(path: Path) -> list[list[Any]]:
    """A CSV file; a column that holds numbers only has them as numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    columns = [_column(list(column)) for column in zip(*rows, strict=True)]
    return [head, *map(list, zip(*columns, strict=True))]


def _column(texts: list[str]) -> list[Any]:
    try:
        return [float(text) if text else None for text in texts]
    except ValueError:
        return list(texts)
