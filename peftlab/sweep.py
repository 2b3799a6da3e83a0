"""The report of a sweep from the records in its folder: sweep.csv, cells.csv, heat maps, table, exit code.

Nothing here asks a running program: `peftlab-sweep FOLDER` writes the same files as the end of the sweep did.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from math import inf, isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

from peftlab.errors import UserError
from peftlab.site import POSITIONS
from peftlab.statistics import Interval, mean_interval, paired_difference

METRICS = ("mean_acc", "head_acc", "medium_acc", "tail_acc")  # of the test split
STATES = ("ok", "diverged", "failed", "interrupted", "running", "missing")
MARKS = {"diverged": "div", "failed": "fail", "interrupted": "int", "running": "run"}
DEPTH, POSITION = "placement.depth", "placement.position"


@dataclass(frozen=True)
class Job:
    """What one sub-folder of a sweep says; its state is `missing` when it does not say enough."""

    folder: Path
    state: str
    number: float  # the job's place in the sweep; infinite where it is not recorded
    choices: dict[str, str]  # without the seed
    seed: int | None
    error: str  # its first line
    result: dict[str, Any]
    metrics: dict[str, float]
    wall_s: float


@dataclass(frozen=True)
class Cell:
    """The jobs that differ only in their seed."""

    choices: dict[str, str]
    jobs: list[Job]

    def label(self, keys: list[str]) -> str:
        """The cell as the command line names it, by these keys of its choices."""
        return ",".join(f"{key}={self.choices[key]}" for key in keys if key in self.choices)

    @cached_property
    def count(self) -> Counter[str]:
        """Number of jobs by state."""
        return Counter(job.state for job in self.jobs)

    def values(self, metric: str) -> dict[int, float]:
        """Seed -> value over finished jobs; a diverged job is counted beside a mean and never in it."""
        done = [job for job in self.jobs if job.state == "ok"]
        value = {job.seed or 0: job.metrics.get(f"test/{metric}", nan) for job in done}
        return {seed: x for seed, x in value.items() if isfinite(x)}

    def mean(self, metric: str) -> Interval:
        """Mean over seeds with its 95 % t interval."""
        return mean_interval(list(self.values(metric).values()))

    def difference(self, baseline: "Cell", metric: str) -> Interval:
        """Mean difference to the baseline cell, paired by seed; NaN with n = 0 without a common seed."""
        own, other = self.values(metric), baseline.values(metric)
        return paired_difference(own, other) if own.keys() & other.keys() else Interval(nan, nan, 0)


@dataclass(frozen=True)
class Report:
    """The outcome of a sweep and the files that hold it."""

    jobs: list[Job]
    cells: list[Cell]
    baseline: Cell
    files: list[Path]
    num_ok: int
    num_failed: int
    num_diverged: int
    num_interrupted: int
    num_unfinished: int  # running or missing

    @property
    def exit_code(self) -> int:
        """0 when every job was measured, as a diverged one was, else 1: a killed job still says `running`."""
        return int(self.num_ok + self.num_diverged < len(self.jobs))


def read(folder: str | Path) -> list[Job]:
    """The jobs of a sweep folder in job order; absent or half-written records give the state `missing`.

    Raises: UserError when there is no such folder or no job in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"folder={folder} does not exist; legal is the folder of a sweep.")
    jobs = [_job(path) for path in folder.iterdir() if _is_job(path)]
    if not jobs:
        raise UserError(f"folder={folder} holds no job; legal is a folder with one sub-folder per job.")
    return sorted(jobs, key=lambda job: (job.number, _natural(job.folder.name)))


def _is_job(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith("."):
        return False
    content = {entry.name for entry in path.iterdir()}
    # An empty folder is a job that was killed at its start.
    return not content or bool(content & {"status.json", "result.json", "config.yaml", ".hydra"})


def _job(folder: Path) -> Job:
    status, result = _read_json(folder / "status.json"), _read_json(folder / "result.json")
    state, error = str(status.get("state", "missing")), str(status.get("error") or "").strip()
    metrics, choices = result.get("metrics"), status.get("choices")
    if state not in STATES or (state == "ok" and not isinstance(metrics, dict)):
        state, error = "missing", f"status.json says {state}, but there is no readable result"
    # Without a status the folder's name, `key=value,key=value`, says which job was meant to be here.
    text = {k: _text(v) for k, v in choices.items()} if isinstance(choices, dict) else _split(folder.name)
    seed = str(status.get("seed", text.get("seed")))
    return Job(
        folder=folder,
        state=state,
        number=_number(status.get("number"), inf),
        choices={key: value for key, value in text.items() if key != "seed"},
        seed=int(seed) if seed.isdecimal() else None,
        error=error.partition("\n")[0],
        result=result,
        metrics={k: _number(v) for k, v in metrics.items()} if isinstance(metrics, dict) else {},
        wall_s=_number(result.get("wall_s", status.get("wall_s"))),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # absent, or cut off in the middle
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any, default: float = nan) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _text(value: Any) -> str:
    """A choice as it is typed: `[q,v]`, `0.1`, `null`, `0-2`."""
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _split(text: str) -> dict[str, str]:
    """`a=1,b=[q,v]` as a dict: a comma ends a value only where another `key=` follows."""
    parts = re.split(r",(?=\s*[\w./@+~-]+=)", text)
    pairs = [part.strip().partition("=") for part in parts]
    return {key: value for key, _, value in pairs} if all(equal for _, equal, _ in pairs) else {}


def _natural(text: str) -> list[tuple[int, str]]:
    """A sort key that puts `9-11` before `10-12`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", text)]


def group_cells(jobs: list[Job]) -> list[Cell]:
    """Jobs that differ only in their seed, together, in the order of each cell's first job.

    Raises: UserError when two finished jobs have the same choices and the same seed.
    """
    by_choice: dict[tuple[tuple[str, str], ...], Cell] = {}
    for job in jobs:
        cell = by_choice.setdefault(tuple(sorted(job.choices.items())), Cell(job.choices, []))
        for twin in cell.jobs:
            if twin.seed == job.seed and twin.state == job.state == "ok":
                raise UserError(
                    f"Jobs {twin.folder.name} and {job.folder.name} have the same choices and the same "
                    f"seed={job.seed}; legal is one folder for each."
                )
        cell.jobs.append(job)
    return list(by_choice.values())


def write_report(folder: str | Path, *, baseline: str | None) -> Report:
    """Write sweep.csv, heat maps and, with several seeds, cells.csv into the sweep's folder, each atomically.

    baseline: choices of one cell, `placement.depth=0-2,placement.position=q`, or as many of them as pick out
    one; None is the first cell.

    Raises: UserError for a folder without jobs and, when the other files are written, for a wrong baseline.
    """
    folder, jobs = Path(folder), read(folder)
    files = [_write_csv(folder / "sweep.csv", [_job_row(job) for job in jobs])]
    cells = group_cells(jobs)
    files += _heat_maps(folder, cells)
    reference = _find(cells, baseline)
    if _has_seeds(jobs):
        files.append(_write_csv(folder / "cells.csv", [_cell_row(cell, reference) for cell in cells]))
    count = Counter(job.state for job in jobs)
    return Report(
        jobs=jobs,
        cells=cells,
        baseline=reference,
        files=files,
        num_ok=count["ok"],
        num_failed=count["failed"],
        num_diverged=count["diverged"],
        num_interrupted=count["interrupted"],
        num_unfinished=count["running"] + count["missing"],
    )


def _has_seeds(jobs: list[Job]) -> bool:
    return len({job.seed for job in jobs} - {None}) > 1


def _find(cells: list[Cell], baseline: str | None) -> Cell:
    if not baseline:  # a job whose choices cannot be read is no baseline
        return next((cell for cell in cells if cell.choices), cells[0])
    wanted = {pair for pair in _plain(_split(baseline)) if pair[0] != "seed"}
    found = [cell for cell in cells if wanted and wanted <= _plain(cell.choices)]
    if len(found) != 1:
        legal = "; ".join(cell.label(_varying(cells)) or "the only one, null" for cell in cells)
        raise UserError(
            f"baseline={baseline} is {'more than one' if found else 'no'} cell of this sweep; "
            f"legal are {legal}."
        )
    return found[0]


def _varying(cells: list[Cell]) -> list[str]:
    """The choices that tell cells apart: not `dataset=cifar100_lt` where every job has it."""
    keys = _columns([dict(cell.choices) for cell in cells])
    known = [cell.choices for cell in cells if cell.choices]
    return [key for key in keys if len({choices.get(key) for choices in known}) > 1]


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
        "memory_mib": _number(job.result.get("memory_mib")),
        **({f"num_{key}": value for key, value in num.items()} if isinstance(num, dict) else {}),
        "diverged_at": job.result.get("diverged_at"),
        "error": job.error,
    }


def _cell_row(cell: Cell, baseline: Cell) -> dict[str, Any]:
    row: dict[str, Any] = {**cell.choices, "baseline": int(cell is baseline)}
    row |= {f"num_{state}": cell.count[state] for state in STATES}
    for metric in METRICS:
        for name, interval in (("", cell.mean(metric)), ("_diff", cell.difference(baseline, metric))):
            row |= {f"{metric}{name}{part}": x for part, x in zip(("", "_half", "_n"), interval, strict=True)}
    return row


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """All rows under the union of their columns; what is absent or NaN is an empty field."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _columns(rows), lineterminator="\n")
            writer.writeheader()
            writer.writerows([{k: "" if x != x else x for k, x in row.items()} for row in rows])
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """Keys of all rows in the order of the fullest: a failed job does not know where the metrics stand."""
    return list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))


def _heat_maps(folder: Path, cells: list[Cell]) -> list[Path]:
    """heatmap.png when depth x position was swept; a picture for each combination of further choices."""
    by_rest: dict[str, list[Cell]] = {}
    keys = [key for key in sorted(_varying(cells)) if key not in (DEPTH, POSITION)]
    for cell in cells:
        if {DEPTH, POSITION} <= cell.choices.keys():
            by_rest.setdefault(cell.label(keys), []).append(cell)
    if max(map(len, by_rest.values()), default=0) < 2:
        return []
    files = []
    for rest, part in by_rest.items():
        name = re.sub(r"[^\w.=+-]+", "_", rest)[:80] + "-" + hashlib.sha256(rest.encode()).hexdigest()[:6]
        path = folder / (f"heatmap-{name}.png" if len(by_rest) > 1 else "heatmap.png")
        files.append(_heat_map(path, part, rest))
    return files


def _heat_map(path: Path, cells: list[Cell], rest: str) -> Path:
    import numpy as np  # drawing is for the end of a sweep, not for every start

    from peftlab.figure import Panel, heat_map

    rows, columns, grid = heat_grid(cells)
    panels = []
    for metric in ("mean_acc", "tail_acc"):
        value = [[100 * cell.mean(metric).mean if cell else nan for cell in line] for line in grid]
        text = [[_mark(cell, metric) if cell else None for cell in line] for line in grid]
        title = f"{metric.removesuffix('_acc')} accuracy (test, %)"
        panels.append(Panel(title, np.array(value), text, form=".1f"))
    num = {cell.count["ok"] for cell in cells if cell.count["ok"]} or {0}
    seeds = f"seeds per cell: n = {min(num)}" + (f"-{max(num)}" if len(num) > 1 else "")
    title = ", ".join(part for part in ("Placement grid", rest, seeds) if part)
    label = {"row_label": "position", "column_label": "block depth"}
    return heat_map(panels, rows, columns, path, title=title, **label)


def heat_grid(cells: list[Cell]) -> tuple[list[str], list[str], list[list[Cell | None]]]:
    """Positions (rows, canonical order), depths (columns, by first block), the cell at each crossing."""
    at = {(cell.choices[POSITION], cell.choices[DEPTH]): cell for cell in cells}
    rank = {position: i for i, position in enumerate(POSITIONS)}
    rows = sorted(dict.fromkeys(row for row, _ in at), key=lambda row: rank.get(row, len(rank)))
    columns = sorted(dict.fromkeys(column for _, column in at), key=lambda column: _span(column, cells))
    return rows, columns, [[at.get((row, column)) for column in columns] for row in rows]


def _span(depth: str, cells: list[Cell]) -> tuple[float, float]:
    """First and last block of a depth: from the sites of its finished jobs, else from its text."""
    jobs = [job for cell in cells if cell.choices[DEPTH] == depth for job in cell.jobs]
    blocks = [float(site["block"]) for job in jobs for site in job.result.get("sites") or []]
    if not blocks:
        blocks = [float(number) for number in re.findall(r"\d+", depth)] or [inf]
        if depth.lstrip("[").startswith("-"):  # counted from the last block, which no record names
            blocks = [1e6 - block for block in blocks]
    return min(blocks), max(blocks)


def _mark(cell: Cell, metric: str) -> str | None:
    """What replaces a cell's plain value: `div`, `fail`, or `81.2` over `2/3` where a seed lacks."""
    if not cell.count["ok"]:
        return next((mark for state, mark in MARKS.items() if cell.count[state]), None)
    mean, _, n = cell.mean(metric)
    return f"{100 * mean:.1f}\n{n}/{len(cell.jobs)}" if 0 < n < len(cell.jobs) else None


def print_table(report: Report) -> None:
    """One row per cell (accuracies in %, 95 % interval), then what failed and why, then the files."""
    from rich.console import Console

    console, table = Console(), _table(report)
    need = console.measure(table, options=console.options.update(width=1000)).minimum
    Console(width=max(console.width, need)).print(table)  # rich leaves out columns that do not fit
    # No markup: names hold brackets. Soft wrap: a path stays whole.
    bad = [job for job in report.jobs if job.state not in ("ok", "diverged")]
    lines = [f"{job.state}: {job.folder.name}: {job.error or 'no error recorded'}" for job in bad]
    keys = _varying(report.cells)
    if constant := [f"{k}={v}" for k, v in report.baseline.choices.items() if k not in keys]:
        lines.append(f"everywhere: {', '.join(constant)}")
    if _has_seeds(report.jobs):
        to = report.baseline.label(keys) or "the only cell"
        lines.append(f"± is a 95 % t interval over n seeds; differences in cells.csv: to {to}")
    else:
        lines.append("a-b is a 95 % Wilson interval over n test images")
    for line in [*lines, *map(str, report.files)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(report: Report) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells, seeds = report.cells, _has_seeds(report.jobs)
    keys = _varying(cells)
    short = [key.rsplit(".", 1)[-1] for key in keys]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for key, name in zip(keys, short, strict=True):
        brief = max(len(cell.choices.get(key, "")) for cell in cells) < 16
        table.add_column(Text(name if short.count(name) == 1 else key), overflow="fold", no_wrap=brief)
    table.add_column("state", min_width=9, overflow="fold")
    metrics = [metric for metric in METRICS if any(_estimate(cell, metric, seeds) for cell in cells)]
    for metric in metrics:
        head = f"{metric.removesuffix('_acc')} %" + ("" if seeds else f"\n{_images(report, metric)}")
        table.add_column(head, justify="right", min_width=6 if seeds else 9)  # a value, an interval
    for head in ["n"] * seeds + ["time"]:
        table.add_column(head, justify="right", no_wrap=True)
    for cell in sorted(cells, key=lambda cell: not (cell.count["ok"] or cell.count["diverged"])):
        times = [job.wall_s for job in cell.jobs if isfinite(job.wall_s)]
        row = [cell.choices.get(key, "") for key in keys] + [_state(cell)]
        row += [_estimate(cell, metric, seeds) for metric in metrics] + [str(cell.count["ok"])] * seeds
        table.add_row(*map(Text, row), str(timedelta(seconds=round(fmean(times)))) if times else "")
    return table


def _state(cell: Cell) -> str:
    """`ok`, or how many jobs are in which state."""
    if len(cell.count) == 1:
        return next(iter(cell.count))
    return ", ".join(f"{cell.count[state]} {state}" for state in STATES if cell.count[state])


def _estimate(cell: Cell, metric: str, seeds: bool) -> str:
    """`81.2 ±1.3` over seeds; `81.2 78.1-84.0` for one job, Wilson over its images."""
    if seeds or len(cell.jobs) > 1:
        mean, half, _ = cell.mean(metric)
        extra = f" ±{100 * half:.1f}" if isfinite(half) else ""
    else:
        get = cell.jobs[0].metrics.get
        mean, low, high = (get(f"test/{metric}{part}", nan) for part in ("", "_low", "_high"))
        extra = f" {100 * low:.1f}-{100 * high:.1f}" if isfinite(low + high) else ""
    return f"{100 * mean:.1f}{extra}" if isfinite(mean) else ""


def _images(report: Report, metric: str) -> str:
    num = {job.metrics.get(f"test/{metric.removesuffix('_acc')}_num", nan) for job in report.jobs}
    num = {n for n in num if isfinite(n)}
    return f"n={min(num):.0f}" + (f"-{max(num):.0f}" if len(num) > 1 else "") if num else ""


class SweepReport(Callback):
    """Hydra callback (`hydra.callbacks`): writes and prints the report when a multirun ends.

    Hydra turns what a callback raises into a warning, and calls no `on_multirun_end` when a job raised. So a
    job records its failure and returns, and the outcome stands here for the exit code of the command.
    """

    last: ClassVar[Report | None] = None
    error: ClassVar[Exception | None] = None

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """Report on `hydra.sweep.dir` against the key `baseline`; what goes wrong is kept in `error`."""
        SweepReport.last = SweepReport.error = None
        try:
            baseline = OmegaConf.select(config, "baseline")
            SweepReport.last = write_report(str(config.hydra.sweep.dir), baseline=baseline)
            print_table(SweepReport.last)
        except Exception as error:  # Hydra would make it a warning; the command has it as its exit code
            SweepReport.error = error


def main(argv: list[str] | None = None) -> int:
    """`peftlab-sweep`: rebuild and print a sweep's report; 0, 1 (not all was measured) or 2 (wrong input)."""
    parser = argparse.ArgumentParser(prog="peftlab-sweep", description="Rebuild and print a sweep's report.")
    parser.add_argument("folder", help="the folder of a sweep, with one sub-folder per job")
    parser.add_argument("--baseline", help="cell to compare with: placement.depth=0-2,placement.position=q")
    arguments = parser.parse_args(argv)
    try:
        report = write_report(arguments.folder, baseline=arguments.baseline)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print_table(report)
    return report.exit_code
