"""The end of a run: select, read the test split once, save everything, and say so."""

import statistics
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch

from peftlab.config.place import Placed
from peftlab.config.upgrade import FORMAT
from peftlab.dataset.split import Split
from peftlab.figure.gamma import gamma_heat_map
from peftlab.fit.fit import Diverged
from peftlab.network.cell import Cell
from peftlab.record.adapter import write_adapter
from peftlab.record.code import code
from peftlab.record.gamma import gamma_text
from peftlab.record.table import ANSWERS, table_text
from peftlab.record.whole import files_of
from peftlab.run.measure import measure
from peftlab.run.memory import peak_mib
from peftlab.run.rows import row_of
from peftlab.run.show import console, show_line, show_result
from peftlab.run.sites import gamma_rows, gate_rows, site_rows
from peftlab.run.state import Run
from peftlab.task.task import Outputs, Table


class Tested(NamedTuple):
    """The test split, and the outputs of the tested weights for one pass over it, where they are known."""

    split: Split
    answers: Outputs | None


def open_tested(state: Run) -> Split:
    """The test split, for the weights that are tested: the best ones, where some were selected, or their average."""
    experiment = state.experiment
    if state.best is not None:
        experiment.cell.load_state(state.best["cell"])
    elif experiment.learner.average is not None:
        experiment.cell.load_state(experiment.learner.average.values)
    experiment.cell.eval()
    return experiment.trunk.dataset.open_test()


def finish(state: Run, diverged: Diverged | None, tested: Tested | None = None) -> dict[str, Any]:
    """Write and return result.json; everything else that a run leaves behind is written before it."""
    experiment, record = state.experiment, state.record
    trained_s = record.wall_s
    test, answers = tested or Tested(open_tested(state), None)
    counted, metrics = measure(experiment, test, answers)
    save_adapter(record.folder, experiment.cell, experiment.placed, _card(state))
    _write_tables(state, test, counted)
    wall_s, memory_mib = record.wall_s, peak_mib(state.device)
    status = "ok" if diverged is None else "diverged"
    result = {
        "format": FORMAT,
        "run_id": state.run_id,
        "state": status,
        "headline": list(experiment.task.headline),
        "flat": state.flat,
        "metrics": metrics,
        "wall_s": wall_s,
        "attempts": record.attempt.number,
        "step_s": statistics.median(state.step_times) if state.step_times else None,
        "seconds": _seconds(state, trained_s, wall_s),
        "memory_mib": memory_mib,
        **_facts(state),
        "diverged_at": None if diverged is None else diverged.step,
        "last_finite": None if diverged is None or diverged.last is None else row_of(diverged.last),
        "files": files_of(record.folder),
    }
    record.write("result.json", result)
    record.status(status, error=None if diverged is None else str(diverged))
    if diverged is not None:
        console.print(f"diverged: {diverged}; the numbers below are of the weights before that step")
    summary = experiment.task.summary({key.removeprefix("test/"): value for key, value in metrics.items()})
    show_result(record.folder.name, summary.table, summary.line)
    console.print(f"time {wall_s:.1f} s, peak memory {memory_mib:.0f} MiB")
    show_line("written", str(record.folder))
    return result


def save_adapter(folder: Path, cell: Cell, placed: Placed, card: Mapping[str, Any]) -> None:
    """adapter.safetensors and adapter.yaml: the cell after training and its sites; `card` says what it belongs to."""
    after = cell.after_training()
    cells = {
        name: {str(site): {**own, **after.get(site, {})} for site, own in sites.items()}
        for name, sites in placed.parts.items()
    }
    write_adapter(folder, cell.state(finished=True), {**card, "cells": cells})


def _seconds(state: Run, trained_s: float, wall_s: float) -> dict[str, float]:
    """Where the time of the last attempt went: before the first step, from there to the last, in steps alone, and after it."""
    before_s = state.record.attempt.before_s
    return {
        "start": state.opened_s - before_s,
        "train": trained_s - state.opened_s,
        "steps": sum(state.step_times),
        "end": wall_s - trained_s,
    }


def _card(state: Run) -> dict[str, Any]:
    """Which backbone and outputs an adapter belongs to."""
    backbone, task = state.experiment.trunk.backbone, state.experiment.task
    return {
        "backbone": backbone.name,
        "backbone_hash": backbone.hash,
        **task.card(),
        "run_id": state.run_id,
    }


def _write_tables(state: Run, test: Split, counted: Any) -> None:
    """The task's tables and answers, gamma and gates by site, and the test metrics of every width of a nested method."""
    experiment = state.experiment
    tables = experiment.task.tables(counted)
    state.record.write_text(ANSWERS, table_text(experiment.answers(counted, test)))
    widths = width_table(state, test)
    if len(widths) > 1:
        tables = {**tables, "width": widths}
    for name, table in tables.items():
        _write_table(state, f"{name}.csv", f"test/{name}", table)
    if experiment.cell.gamma.raw is not None:
        _write_gammas(state)
    if experiment.cell.gates:
        rows = gate_rows(experiment.network, experiment.cell, _example(state))
        _write_table(state, "gates.csv", "gate_table", [list(rows[0]), *(list(row.values()) for row in rows)])


def _write_table(state: Run, file: str, key: str, table: Table) -> None:
    """A table, its columns first, to the record and to the tracker."""
    state.record.write_text(file, table_text(table))
    state.tracker.table(key, table[0], table[1:], step=state.experiment.schedule.num_steps)


def _write_gammas(state: Run) -> None:
    """Learned gamma by site, as a table and as a picture."""
    experiment, record, step = state.experiment, state.record, state.experiment.schedule.num_steps
    rows = gamma_rows(experiment.network, experiment.cell, _example(state))
    record.write_text("gamma.csv", gamma_text(rows))
    picture = gamma_heat_map(rows, experiment.trunk.backbone.labels, record.folder / "gamma.png")
    columns = list(rows[0])
    state.tracker.table("gamma_table", columns, [[row[key] for key in columns] for row in rows], step=step)
    state.tracker.image("gamma_ratio_map", nullcontext(picture), step=step)


def _example(state: Run) -> dict[str, torch.Tensor]:
    """Training items of which what sites do is measured, 64 at most."""
    batch = next(state.experiment.learner.batches.iterate(0)).to(state.device)
    return {name: value[:64] for name, value in batch.inputs.items()}


def width_table(state: Run, test: Split) -> Table:
    """Test metrics at every width of a nested method (DyLoRA): all are reported, none is selected."""
    task, cell = state.experiment.task, state.experiment.cell
    rows: Table = [["width", *task.headline]]
    for width in range(1, cell.nested_width + 1):
        metrics = task.metrics(state.count(test, cell.at(width), is_test=True))
        rows.append([width, *(metrics[name] for name in task.headline)])
    return rows


def _facts(state: Run) -> dict[str, Any]:
    """What the run was, beside its numbers."""
    experiment = state.experiment
    split, best = experiment.outer_split, state.best
    return {
        "num_parameters": state.num_parameters,
        "sites": site_rows(experiment.cell),
        "selected": {
            "by": experiment.resolved.fit.select,
            "step": best["step"] if best else None,
            f"val/{experiment.task.primary}": best["score"] if best else None,
        },
        "test_reads": 1,
        "identity": state.identity,
        "inputs": state.inputs,
        "transform": experiment.trunk.dataset.transform_text,
        "outer_coverage": None if split is None else split.coverage(),
        "threads": torch.get_num_threads(),
        **code(),
    }
