"""The end of a run: which weights are tested and saved, and what is written of them. Whole runs: tests/run/test_run.py."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import peftlab
from peftlab.dataset.batches import EvalBatches
from peftlab.fit.fit import Diverged, Step
from peftlab.run.finish import finish, save_adapter, width_table
from peftlab.run.rows import row_of
from peftlab.run.state import Run

Make = Callable[..., Run]


def change(run: Run, seed: int = 0) -> None:
    """Weights as no start has them; the head stays, so that the answers are no noise."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in run.experiment.cell.theta().items():
            if not name.startswith("head."):
                value.copy_(0.01 * torch.randn(value.shape, generator=rng))


def table(path: Path) -> list[list[str]]:
    with path.open() as file:
        return list(csv.reader(file))


def in_words(rows: list[list[Any]]) -> list[list[str]]:
    """As a CSV file has them."""
    return [["" if value is None else str(value) for value in row] for row in rows]


def accuracy(model: Any, run: Run) -> float:
    """The mean over classes on the test split, counted by hand."""
    data = run.experiment.trunk.dataset
    test = data.open_test()
    batch = EvalBatches(test, data.eval_transform, batch_size=len(test), num_workers=0).batch(0)
    with torch.no_grad():
        right = (model(batch.inputs["images"]).argmax(-1) == batch.targets).double()
    return sum(right[batch.targets == label].mean().item() for label in range(10)) / 10


def test_the_numbers_are_those_of_the_saved_adapter(state: Make) -> None:
    run = state()
    run.open()
    change(run)
    run.step_times = [3.0, 1.0, 7.0]
    result = finish(run, None)
    folder = run.record.folder
    found = accuracy(peftlab.load(folder), run)
    assert found == pytest.approx(result["metrics"]["test/mean_acc"])
    assert found > 0.15, "chance would be a number that wrong weights have too"
    assert run.record.read("result.json") == json.loads(json.dumps(result))
    assert (result["state"], result["step_s"], result["run_id"]) == ("ok", 3.0, run.run_id)
    seconds = result["seconds"]
    assert seconds["steps"] == 11.0
    assert sum(seconds[key] for key in ("start", "train", "end")) == pytest.approx(result["wall_s"])
    assert min(seconds.values()) >= 0
    assert (result["diverged_at"], result["last_finite"]) == (None, None)
    assert result["selected"] == {"by": "last", "step": None, "val/mean_acc": None}
    numbers = run.experiment.cell.num_parameters()
    assert result["num_parameters"] == {**numbers, "backbone": run.experiment.trunk.backbone.num_weights}
    assert result["headline"] == ["mean_acc", "head_acc", "medium_acc", "tail_acc"]
    assert result["flat"] == {"num_parameters": numbers["delta"]}
    assert result["identity"] == run.identity
    card = yaml.safe_load((folder / "adapter.yaml").read_text())
    assert card["backbone_hash"] == run.experiment.trunk.backbone.hash
    assert card["class_names"] == run.experiment.trunk.dataset.class_names
    assert card["run_id"] == run.run_id


def test_the_selected_weights_are_tested_and_saved_and_not_the_last(state: Make) -> None:
    run = state("fit.select=best")
    run.open()
    change(run, seed=1)
    run.validate(5)
    kept = {name: value.clone() for name, value in run.experiment.cell.state().items()}
    assert run.best is not None
    change(run, seed=2)
    result = finish(run, None)
    assert result["selected"] == {"by": "best", "step": 5, "val/mean_acc": run.best["score"]}
    saved = load_file(run.record.folder / "adapter.safetensors")
    assert saved.keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in saved.items())
    assert result["step_s"] is None, "no step of this process"


@pytest.mark.parametrize("last", [Step(2, 0.5, 1.25, 0.1, None), None], ids=["second", "first"])
def test_a_run_that_diverged_says_where_and_what_was_before(state: Make, last: Step | None) -> None:
    run = state()
    run.open()
    result = finish(run, Diverged(3, float("inf"), last))
    assert (result["state"], result["diverged_at"]) == ("diverged", 3)
    assert result["last_finite"] == (None if last is None else row_of(last))
    status = run.record.read("status.json")
    assert (status["state"], status["error"]) == ("diverged", "the loss became inf in step 3")


def test_tables_go_to_the_record_and_to_the_tracker(state: Make) -> None:
    run = state("scaling=learned")
    run.open()
    change(run)
    finish(run, None)
    folder, mirror = run.record.folder, run.tracker
    assert {path.suffix: path.stem for path in folder.glob("gamma.*")} == {".csv": "gamma", ".png": "gamma"}
    ((step, picture),) = mirror.images["gamma_ratio_map"]  # type: ignore[attr-defined]
    assert picture == (folder / "gamma.png").read_bytes()
    assert step == run.experiment.schedule.num_steps
    tables = mirror.tables  # type: ignore[attr-defined]
    files = {"test/per_class": "per_class.csv", "gamma_table": "gamma.csv"}
    assert tables.keys() == files.keys(), "no key is that of a picture or of a curve"
    for name, rows in tables.items():
        assert table(folder / files[name]) == in_words(rows)


def test_gates_have_a_table(state: Make) -> None:
    run = state("scaling=gated")
    run.open()
    change(run)
    finish(run, None)
    rows = run.tracker.tables["gate_table"]  # type: ignore[attr-defined]
    assert table(run.record.folder / "gates.csv") == in_words(rows)
    assert rows[0] == ["site", "block", "position", "gate", "min", "max", "ratio"]
    assert [row[0] for row in rows[1:]] == [str(site) for site in run.experiment.cell.sites]


def test_a_fixed_gamma_and_one_width_have_no_table(state: Make) -> None:
    run = state()
    run.open()
    finish(run, None)
    assert {path.name for path in run.record.folder.iterdir() if path.suffix in (".csv", ".png")} == {
        "per_class.csv",
        "predictions.csv",
    }
    assert width_table(run, run.experiment.trunk.dataset.train) == [["width", *run.experiment.task.headline]]


def test_one_dylora_run_gives_the_test_accuracy_of_every_rank(state: Make) -> None:
    """width.csv against the loaded model at each rank; the result is that of `eval_rank`."""
    run = state("peft=dylora", "peft.rank=3", "peft.eval_rank=2")
    run.open()
    change(run)
    result = finish(run, None)
    with (run.record.folder / "width.csv").open() as file:
        rows = {int(row["width"]): row for row in csv.DictReader(file)}
    assert list(rows) == [1, 2, 3]
    assert float(rows[2]["mean_acc"]) == result["metrics"]["test/mean_acc"]
    model = peftlab.load(run.record.folder)
    found = []
    for rank in (1, 2, 3):
        model.at(rank)
        found.append(accuracy(model, run))
    assert found == pytest.approx([float(row["mean_acc"]) for row in rows.values()])
    assert len(set(found)) > 1, "the ranks differ"


def test_an_adapter_says_of_each_site_what_it_is_built_with_after_training(
    state: Make, tmp_path: Path
) -> None:
    """A prefix without its MLP; what a site has of its own stays."""
    cells = "placement.cells={0.kv:{length:4},1.kv:{}}"
    run = state("peft=prefix", "peft.mlp=5", "placement=cells", cells)
    cell, placed = run.experiment.cell, run.experiment.placed
    save_adapter(tmp_path, cell, placed, {"backbone": "b", "run_id": "r"})
    card = yaml.safe_load((tmp_path / "adapter.yaml").read_text())
    assert card == {
        "backbone": "b",
        "run_id": "r",
        "cells": {"peft": {"0.kv": {"length": 4, "mlp": None}, "1.kv": {"mlp": None}}},
    }
    assert list(card) == ["backbone", "run_id", "cells"]
    saved, state_ = load_file(tmp_path / "adapter.safetensors"), cell.state(finished=True)
    assert saved.keys() == state_.keys()
    assert all(torch.equal(value, state_[name]) for name, value in saved.items())
