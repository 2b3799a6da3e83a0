"""The report of a sweep from the records in its folder: sweep.csv, cells.csv, heat maps, exit code.

Nothing here asks a running program: `peftlab-sweep FOLDER` writes the same files as the end of the sweep did.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.record.table import table_text
from peftlab.record.whole_file import refusal, renew
from peftlab.report.cell import (
    Cell,
    columns_of,
    false_discovery,
    group_cells,
    has_seeds,
    metrics_of,
    varying,
)
from peftlab.report.data import mixed
from peftlab.report.drawn import drawn
from peftlab.report.evidence import write_evidence
from peftlab.report.forest import forest
from peftlab.report.heat_map import Baseline, heat_maps, left_out
from peftlab.report.job import STATES, Job, has_jobs, number, read, split_choices
from peftlab.report.markdown import write_markdown
from peftlab.report.own import check_own
from peftlab.report.scatter import scatter

MAX_NAMED = 48  # cells in a sentence


@dataclass(frozen=True)
class Report:
    """The outcome of a sweep and the files that hold it."""

    jobs: list[Job]
    cells: list[Cell]
    baseline: Cell
    files: list[Path]
    notes: list[str]  # what no file holds, and why
    num_ok: int
    num_failed: int
    num_diverged: int
    num_interrupted: int
    num_stopped: int  # by fit.stop_after, as asked
    num_unfinished: int  # running or missing
    untold: list[str] = field(default_factory=list)  # failures of this command that no folder tells
    unwritten: str = ""  # why files of the report are not there, or not new
    mixed: list[str] = field(default_factory=list)  # cells whose runs read different data

    @property
    def exit_code(self) -> int:
        """0 when every job was measured, as a diverged one was, or stopped as asked, else 1: a killed job still says `running`."""
        return int(self.is_left or bool(self.mixed))

    @property
    def is_left(self) -> bool:
        """Whether the same command has something to do still."""
        is_whole = self.num_ok + self.num_diverged + self.num_stopped == len(self.jobs)
        return not is_whole or bool(self.untold or self.unwritten)


def write_report(folder: str | Path, *, baseline: str | None) -> Report:
    """Write sweep.csv, table.md, heat maps, a scatter plot and, with several seeds, cells.csv, each atomically.

    baseline: choices of one cell, `placement.depth=0-2,placement.position=q`, or as many of them as pick out
    one; None is the first cell with a finished run. What cannot be written is told in the report, which is one without its files.

    Raises: UserError for a folder that is no sweep's, files there that no sweep wrote, and a wrong baseline; then nothing
    is written.
    """
    folder, jobs = Path(folder), read(folder)
    cells = group_cells(jobs)
    reference = find_baseline(cells, baseline)
    check_own(folder)
    files, unwritten = _write(folder, jobs, cells, reference)
    count = Counter(job.state for job in jobs)
    return Report(
        jobs=jobs,
        cells=cells,
        baseline=reference,
        files=files,
        notes=[*_unmeasured(cells, reference, baseline), *left_out(cells)],
        num_ok=count["ok"],
        num_failed=count["failed"],
        num_diverged=count["diverged"],
        num_interrupted=count["interrupted"],
        num_stopped=count["stopped"],
        num_unfinished=count["running"] + count["missing"],
        unwritten=unwritten,
        mixed=mixed(cells),
    )


def _write(folder: Path, jobs: list[Job], cells: list[Cell], reference: Cell) -> tuple[list[Path], str]:
    """The files that are there, and why others are not."""
    seeds, files, unwritten = has_seeds(jobs), list[Path](), ""
    compared = Baseline(reference, reference.label(varying(cells)), seeds)
    names = [metric.name for metric in metrics_of(cells)]
    rows = [_job_row(job) for job in jobs]
    shown = json.dumps([rows, [cell.mixed for cell in cells], compared.name, seeds], default=str)

    def pictures() -> list[Path]:
        return [
            *heat_maps(folder, cells, compared),
            *forest(folder, cells, reference, seeds),
            *scatter(folder, cells, seeds),
            *(write_evidence(folder, cells, reference) if seeds else []),
        ]

    steps: list[Callable[[], list[Path]]] = [
        lambda: [_write_csv(folder / "sweep.csv", rows)],
        lambda: drawn(folder, shown, pictures),
        lambda: [_write_csv(folder / "cells.csv", _cell_rows(cells, reference, names))],
        lambda: [write_markdown(folder, cells, seeds)],
    ]
    if not seeds:
        del steps[2]
    for step in steps:
        try:
            files += step()
        except OSError as error:
            unwritten = unwritten or refusal(error, folder) or ""
            if not unwritten:
                raise
    return files, unwritten


def check_baseline(folder: Path, jobs: list[dict[str, str]], baseline: str | None) -> None:
    """That a sweep of these choices, in a folder that may hold other jobs, will have the baseline.

    Raises: UserError if not.
    """
    if not baseline or not jobs:
        return
    there = [cell.choices for cell in group_cells(read(folder))] if has_jobs(folder) else []
    planned = [{key: value for key, value in choices.items() if key != "seed"} for choices in jobs]
    once = {tuple(sorted(_plain(choices))): choices for choices in (*planned, *there)}
    find_baseline([Cell(choices, []) for choices in once.values()], baseline)


def find_baseline(cells: list[Cell], baseline: str | None) -> Cell:
    """The one cell that these choices pick out; without any the first that has a finished run.

    Raises: UserError for none or more than one.
    """
    if not baseline:  # a job whose choices cannot be read is no baseline
        known = [cell for cell in cells if cell.choices] or cells
        return next((cell for cell in known if cell.count["ok"]), known[0])
    return find_cell(cells, baseline, f"baseline={baseline}")


def find_cell(cells: list[Cell], choices: str, what: str) -> Cell:
    """The one cell that has these choices. what: how an error begins.

    Raises: UserError for none or more than one.
    """
    wanted = {pair for pair in _plain(split_choices(choices)) if pair[0] != "seed"}
    found = [cell for cell in cells if wanted and wanted <= _plain(cell.choices)]
    if len(found) != 1:
        names = [cell.label(varying(cells)) or "the only one, null" for cell in cells]
        legal = "; ".join(names[:MAX_NAMED]) + (
            f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        )
        raise UserError(
            f"{what} is {'more than one' if found else 'no'} cell of this sweep; legal are {legal}."
        )
    return found[0]


def _unmeasured(cells: list[Cell], reference: Cell, baseline: str | None) -> list[str]:
    """A word on a baseline that is not the first cell."""
    first = next((cell for cell in cells if cell.choices), cells[0])
    if baseline or first is reference:
        return []
    keys = varying(cells)
    return [f"baseline: {reference.label(keys)}; the first cell, {first.label(keys)}, has no finished run"]


def _plain(choices: dict[str, str]) -> set[tuple[str, str]]:
    """Choices for comparison: `[q, v]` and `'[q,v]'` are `[q,v]`."""
    return {(key, re.sub(r"[\s'\"]", "", value)) for key, value in choices.items()}


def _job_row(job: Job) -> dict[str, Any]:
    num = job.result.get("num_parameters")
    return {
        "job": job.folder.name,
        **job.choices,
        "seed": job.seed,
        "state": job.state,
        **dict(sorted(job.metrics.items())),
        "wall_s": job.wall_s,
        "step_s": number(job.result.get("step_s")),
        "memory_mib": number(job.result.get("memory_mib")),
        **({f"num_{key}": value for key, value in num.items()} if isinstance(num, dict) else {}),
        "diverged_at": job.result.get("diverged_at"),
        "error": job.error,
    }


def _cell_rows(cells: list[Cell], baseline: Cell, metrics: list[str]) -> list[dict[str, Any]]:
    """`_half` of an accuracy and of a difference, `_diff_p` of one difference alone, `_diff_q` of it among all."""
    share = {metric: false_discovery(cells, baseline, metric) for metric in metrics}
    rows = []
    for place, cell in enumerate(cells):
        row: dict[str, Any] = {**cell.choices, "baseline": int(cell is baseline)}
        row |= {f"num_{state}": cell.count[state] for state in STATES}
        for metric in metrics:
            for name, interval in (("", cell.mean(metric)), ("_diff", cell.difference(baseline, metric))):
                row |= {
                    f"{metric}{name}{part}": x for part, x in zip(("", "_half", "_n"), interval, strict=True)
                }
            row[f"{metric}_diff_p"], row[f"{metric}_diff_q"] = (p[place] for p in share[metric])
        rows.append(row)
    return rows


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """All rows under the union of their columns; what is absent or NaN is an empty field."""
    columns = columns_of(rows)
    values = ([row.get(name, "") for name in columns] for row in rows)
    table = [columns, *(["" if value != value else value for value in row] for row in values)]
    return renew(path, table_text(table, line_end="\n"))
