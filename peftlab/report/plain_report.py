"""A report as plain values: what `peftlab-sweep --json` prints. Its keys stay; a change of their meaning is a new `schema`."""

from math import isfinite
from typing import Any

from peftlab.report.cell import Cell, has_seeds, metrics_of
from peftlab.report.job import STATES, Job
from peftlab.report.report import Report

SCHEMA = 1


def plain_report(report: Report) -> dict[str, Any]:
    """Accuracies are fractions, times are seconds, and a number that is not known is null."""
    seeds, metrics = has_seeds(report.jobs), [metric.name for metric in metrics_of(report.cells)]
    count = {state: sum(job.state == state for job in report.jobs) for state in STATES}
    return {
        "schema": SCHEMA,
        "exit_code": report.exit_code,
        "count": count,
        "baseline": report.baseline.choices,
        "cells": [_cell(cell, report.baseline, metrics, seeds) for cell in report.cells],
        "runs": [_run(job) for job in report.jobs],
        "notes": [*report.untold, *report.mixed, *report.notes],
        "files": [str(path) for path in report.files],
    }


def _cell(cell: Cell, baseline: Cell, metrics: list[str], seeds: bool) -> dict[str, Any]:
    return {
        "choices": cell.choices,
        "count": dict(cell.count),
        "metrics": {name: _bounds(cell.interval(name, seeds)) for name in metrics},
        "differences": {name: _bounds(cell.contrast(baseline, name, seeds)) for name in metrics},
    }


def _bounds(bounds: tuple[float, float, float]) -> dict[str, float | None]:
    """A value and the ends of its 95 % interval."""
    return {key: _number(x) for key, x in zip(("value", "low", "high"), bounds, strict=True)}


def _run(job: Job) -> dict[str, Any]:
    return {
        "folder": str(job.folder),
        "state": job.state,
        "choices": job.choices,
        "seed": job.seed,
        "metrics": {key: _number(value) for key, value in job.metrics.items()},
        "wall_s": _number(job.wall_s),
        "error": job.error or None,
    }


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
