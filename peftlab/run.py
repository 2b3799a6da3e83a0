"""One run, from a checked config to result.json: build, preflight, fit, test once, save."""

import csv
import io
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import yaml

from peftlab.adapter_file import save_adapter
from peftlab.bilevel.math_attention import attention_kernel
from peftlab.build import build, make_tracker
from peftlab.checkpoint import load_last, load_theta, save_last
from peftlab.dataset.loader import EvalBatches
from peftlab.evaluate import evaluate
from peftlab.fit import Diverged, Step, autocast, fit, steps_per_epoch
from peftlab.gamma_file import gamma_rows, site_rows, write_gamma
from peftlab.memory import peak_mib, reset_peak
from peftlab.metrics import Counts, group_metrics, per_class
from peftlab.preflight import preflight
from peftlab.record import Record
from peftlab.show import console, progress, show_counts, show_line, show_placement, show_result

INTERRUPTED = 130


class Run:
    """The state of one run between its steps: what the record, the tracker and the checkpoint share."""

    def __init__(self, config: dict[str, Any], record: Record, group: str | None) -> None:
        self.record, self.config = record, config
        self.experiment = build(config)
        self.context = autocast(self.experiment.plan, self.experiment.device)
        self.identity = {
            "config": record.config_digest(),
            "data split": self.experiment.dataset.index_hash,
            "backbone": self.experiment.backbone.hash,
        }
        self.run_id = run_id(self.identity)
        self.tracker = make_tracker(config)
        self.best: dict[str, Any] | None = None
        self.stop = False
        self.group = group

    def open(self) -> int:
        """Write what is known before training, start the tracker, and return the step to start at."""
        experiment, record = self.experiment, self.record
        record.write_text("config.yaml", yaml.safe_dump(self.config, sort_keys=False))
        record.write("split.json", {"hash": experiment.dataset.index_hash, **experiment.dataset.index})
        start, self.best = load_last(record.folder, experiment, self.identity)
        record.rewind(start)
        self.tracker.start(
            run_id=self.run_id,
            name=f"{record.folder.name.rpartition('-')[0]}-s{self.config['seed']}"
            if self.group
            else record.folder.name,
            group=self.group,
            tags=[str(self.config["dataset"]["name"]), self.config["scaling"]["_target_"].rpartition(".")[2]],
            config={
                **self.config,
                "run_id": self.run_id,
                "identity": self.identity,
                "choices": record.choices,
            },
            folder=record.folder,
        )
        return start

    def log(self, step: int, row: dict[str, float]) -> None:
        """One row to metrics.jsonl, which is the record, and to the tracker, which mirrors it without the values per site."""
        self.record.append({"step": step, **row})
        self.tracker.log({key: value for key, value in row.items() if key.count("/") < 2}, step=step)

    def save(self, step: int) -> None:
        """Write last/."""
        save_last(self.record.folder, self.experiment, self.identity, step, self.best)

    def validate(self, step: int) -> None:
        """Metrics on the validation split; the best weights are kept if they are to be selected."""
        experiment = self.experiment
        if experiment.dataset.val is None:
            return
        metrics = self.metrics("val", self.count(experiment.dataset.val))
        self.log(step, metrics)
        score = metrics["val/mean_acc"]
        if experiment.plan.select == "best" and (self.best is None or score > self.best["score"]):
            model = experiment.model
            theta = {name: value.detach().cpu().clone() for name, value in model.theta().items()}
            gamma = None if model.gamma.raw is None else model.gamma.raw.detach().cpu().clone()
            self.best = {"score": score, "step": step, "theta": theta, "gamma": gamma}

    def count(self, split: Any) -> Counts:
        """Right and wrong answers on a split."""
        experiment, dataset = self.experiment, self.experiment.dataset
        batches = EvalBatches(
            split,
            dataset.eval_transform,
            batch_size=experiment.plan.eval_batch_size,
            num_workers=dataset.num_workers,
        )
        return evaluate(experiment.model, batches, len(dataset.class_names), experiment.device, self.context)

    def metrics(self, split: str, counts: Counts) -> dict[str, float]:
        """`split/metric` -> value."""
        values = group_metrics(counts, self.experiment.dataset.groups)
        return {f"{split}/{key}": value for key, value in values.items()}


def run(config: dict[str, Any], record: Record, group: str | None) -> None:
    """Train, test and save one run in its folder. `group` is the name of its sweep.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
        UserError: for data or weights that cannot be had.
    """
    started = time.time()
    console.rule(record.folder.name)
    show_line("run folder", str(record.folder))
    state = Run(config, record, group)
    reset_peak(state.experiment.device)
    preflight(state.experiment.model, *state.experiment.probe, state.experiment.loss)
    introduce(state)
    start = state.open()
    code = 1
    summary: dict[str, float | int | str] = {}
    try:
        with interruptible(state):
            diverged = train(state, start)
        if state.stop:
            code = INTERRUPTED
            record.status("interrupted")
            console.print(f"interrupted and saved; the same command goes on from there: {record.folder}")
            sys.exit(INTERRUPTED)
        result = finish(state, diverged, started)
        summary = {key: value for key, value in result["metrics"].items() if value is not None}
        code = 0
    finally:
        state.tracker.finish(summary, exit_code=code)


def introduce(state: Run) -> None:
    """Print what is about to be run."""
    experiment, dataset = state.experiment, state.experiment.dataset
    show_line(
        "backbone", f"{experiment.backbone.name}, {experiment.backbone.depth} blocks, on {experiment.device}"
    )
    groups = ", ".join(f"{len(classes)} {name}" for name, classes in dataset.groups.items())
    val = f", {len(dataset.val)} to validate" if dataset.val is not None else ""
    counts = dataset.counts
    show_line(
        "data",
        f"{dataset.name}, {experiment.num_train} images to train on{val}, {len(dataset.class_names)} classes"
        f" ({groups}), {int(counts.max())} to {int(counts.min())} images a class; split {dataset.index_hash[:12]}",
    )
    show_line("transform", dataset.transform_text)
    show_placement(site_rows(experiment.model), experiment.backbone.depth)
    if experiment.outer is not None and experiment.outer_coverage is not None:
        cover = ", ".join(f"{key} {value}" for key, value in experiment.outer_coverage.items())
        estimator = experiment.outer.estimator
        show_line(
            "outer split",
            f"{cover}; hypergradient {getattr(estimator, 'func', estimator).__name__}, {attention_kernel(estimator)} attention kernel in its inner losses",
        )
    show_counts(experiment.model.num_parameters())


def train(state: Run, start: int) -> Diverged | None:
    """Consume the generator of steps: log, validate, save. Returns the divergence, if there was one."""
    experiment, plan = state.experiment, state.experiment.plan
    per_epoch = steps_per_epoch(plan, experiment.batches)
    eval_every = plan.eval_every or 1
    steps = fit(
        plan,
        experiment.model,
        experiment.batches,
        experiment.loss,
        experiment.optimizers,
        experiment.outer,
        start=start,
        seed=state.config["seed"],
        device=experiment.device,
    )
    total = plan.epochs * per_epoch
    with progress() as bar:
        task = bar.add_task("train", total=total, completed=start, loss="-")
        try:
            for step in steps:
                state.log(step.number, row_of(step))
                bar.update(task, completed=step.number, loss=f"{step.loss:.4f}")
                epoch, rest = divmod(step.number, per_epoch)
                if rest == 0 and (epoch % eval_every == 0 or step.number == total):
                    state.validate(step.number)
                if state.stop or (rest == 0 and epoch % plan.save_every == 0) or step.number == total:
                    state.save(step.number)
                if state.stop:
                    state.stop = step.number < total
                    break
        except Diverged as diverged:
            return diverged
    return None


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


def finish(state: Run, diverged: Diverged | None, started: float) -> dict[str, Any]:
    """Select, read the test split once, save everything, and say so."""
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
        "cells": {str(site): options for site, options in experiment.cells.items()},
    }
    save_adapter(record.folder, model, card)
    table = class_table(counts, dataset)
    record.write_text("per_class.csv", table_text(table))
    state.tracker.table("test/per_class", table[0], table[1:])
    if model.gamma.raw is not None:
        rows = gamma_rows(model, next(experiment.batches.iterate(0)).images[:64].to(experiment.device))
        write_gamma(record, rows, experiment.backbone.depth)
        state.tracker.table("gamma", list(rows[0]), [list(row.values()) for row in rows])
        state.tracker.image("gamma", record.folder / "gamma.png")
    wall_s, memory_mib = time.time() - started, peak_mib(experiment.device)
    status = "ok" if diverged is None else "diverged"
    result = {
        "run_id": state.run_id,
        "state": status,
        "metrics": metrics,
        "wall_s": wall_s,
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
        console.print(f"[bold]diverged[/bold]: {diverged}; the numbers below are of the last finite weights")
    show_result(record.folder.name, metrics, wall_s, memory_mib)
    show_line("written", str(record.folder))
    return result


def class_table(counts: Counts, dataset: Any) -> list[list[Any]]:
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


def table_text(table: list[list[Any]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue()


def run_id(identity: dict[str, str]) -> str:
    """Sixteen hex digits of the hash of the config, the data split and the backbone."""
    import hashlib

    return hashlib.sha256("/".join(identity[key] for key in sorted(identity)).encode()).hexdigest()[:16]


@contextmanager
def interruptible(state: Run) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one is Python's own."""

    def ask(number: int, frame: FrameType | None) -> None:
        state.stop = True
        signal.signal(number, signal.default_int_handler)

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
