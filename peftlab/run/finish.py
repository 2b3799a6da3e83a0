"""The end of a run: select, read the test split once, save everything, and say so."""

import math
import statistics
import time
from typing import Any

import torch

from peftlab.config.upgrade import FORMAT
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.split import Split
from peftlab.evaluate.gamma import gamma_rows, site_rows
from peftlab.evaluate.metrics import Counts, per_class
from peftlab.figure.gamma import gamma_heat_map
from peftlab.fit.fit import Diverged, Step
from peftlab.model.load import save_adapter
from peftlab.record.checkpoint import load_theta
from peftlab.record.gamma import gamma_text
from peftlab.record.table import table_text
from peftlab.run.memory import peak_mib
from peftlab.run.show import GROUPS, console, show_line, show_result
from peftlab.run.state import Run


def finish(state: Run, diverged: Diverged | None, started: float) -> dict[str, Any]:
    """Write and return result.json; everything else that a run leaves behind is written before it."""
    experiment, record, dataset = state.experiment, state.record, state.experiment.dataset
    if state.best is not None:
        load_theta(experiment.model, state.best["theta"], state.best["gamma"])
    model = experiment.model.eval()
    test = dataset.open_test()
    counts = state.count(test)
    metrics = state.metrics("test", counts)
    card = {
        "backbone": experiment.backbone.name,
        "backbone_hash": experiment.backbone.hash,
        "class_names": dataset.class_names,
        "run_id": state.run_id,
    }
    save_adapter(record.folder, model, experiment.placed, card)
    table = class_table(counts, dataset)
    record.write_text("per_class.csv", table_text(table))
    state.tracker.table("test/per_class", table[0], table[1:])
    if model.gamma.raw is not None:
        rows = gamma_rows(
            model, next(experiment.batches.iterate(0)).inputs["images"][:64].to(experiment.device)
        )
        record.write_text("gamma.csv", gamma_text(rows))
        gamma_heat_map(rows, experiment.backbone.labels, record.folder / "gamma.png")
        state.tracker.table("gamma", list(rows[0]), [list(row.values()) for row in rows])
        state.tracker.image("gamma", record.folder / "gamma.png")
    ranks = width_table(state, test)
    if len(ranks) > 1:
        record.write_text("width.csv", table_text(ranks))
        state.tracker.table("test/width", ranks[0], ranks[1:])
    wall_s, memory_mib = time.time() - started, peak_mib(experiment.device)
    status = "ok" if diverged is None else "diverged"
    result = {
        "format": FORMAT,
        "run_id": state.run_id,
        "state": status,
        "metrics": metrics,
        "wall_s": wall_s,
        "step_s": statistics.median(state.step_times) if state.step_times else None,
        "memory_mib": memory_mib,
        "num_parameters": model.num_parameters(),
        "sites": site_rows(model),
        "selected": {
            "by": experiment.plan.select,
            "step": state.best["step"] if state.best else None,
            "val/mean_acc": state.best["score"] if state.best else None,
        },
        "test_reads": 1,
        "identity": state.identity,
        "transform": dataset.transform_text,
        "outer_coverage": experiment.outer_coverage,
        "diverged_at": None if diverged is None else diverged.step,
        "last_finite": None if diverged is None or diverged.last is None else row_of(diverged.last),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    record.write("result.json", result)
    record.status(status, error=None if diverged is None else str(diverged))
    if diverged is not None:
        console.print(
            f"[bold]diverged[/bold]: {diverged}; the numbers below are of the weights before that step"
        )
    show_result(record.folder.name, metrics, wall_s, memory_mib)
    show_line("written", str(record.folder))
    return result


def row_of(step: Step) -> dict[str, float]:
    """A step as `group/metric` scalars."""
    row = {"train/loss": step.loss, "train/lr": step.lr, "epoch": step.epoch}
    if step.outer is not None:
        gammas = step.outer.gamma.values()
        row |= {"outer/loss": step.outer.loss, "outer/gamma_min": min(gammas), "outer/gamma_max": max(gammas)}
        row["outer/gamma_mean"] = sum(gammas) / len(gammas)
        for key in ("gamma", "grad", "ratio"):
            row |= {f"outer/{key}/{name}": value for name, value in getattr(step.outer, key).items()}
    return row


def class_table(counts: Counts, dataset: Dataset) -> list[list[Any]]:
    """One row per class: its group, its training and test images, its accuracy."""
    group = {index: name for name, classes in dataset.groups.items() for index in classes}
    rows: list[list[Any]] = [["class", "group", "train_num", "test_num", "acc"]]
    for index, accuracy in enumerate(per_class(counts).tolist()):
        value = None if math.isnan(accuracy) else accuracy
        rows.append(
            [
                dataset.class_names[index],
                group.get(index, ""),
                int(dataset.counts[index]),
                int(counts.total[index]),
                value,
            ]
        )
    return rows


def width_table(state: Run, test: Split) -> list[list[Any]]:
    """Test accuracy at every width of a nested method (DyLoRA): all are reported, none is selected."""
    model = state.experiment.model
    rows: list[list[Any]] = [["width", *(f"{name}_acc" for name in GROUPS)]]
    for width in range(1, model.nested_width + 1):
        model.at(width)
        metrics = state.metrics("test", state.count(test))
        rows.append([width, *(metrics[f"test/{name}_acc"] for name in GROUPS)])
    return rows
