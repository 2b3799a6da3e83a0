"""Runs that write answers, from the command line to the report: what holds of every run holds of them."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.answers import words_of, write_answers

import peftlab
from peftlab.command.report import main as report
from peftlab.model.load import read_run
from peftlab.predict.answers import predict_answers
from peftlab.record.table import table_text

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(call: Callable[..., Any], tmp_path: Path) -> Run:
    """`run("name", words)`: the result of a run in the folder of this name."""
    folder = write_answers(tmp_path / "sums")

    def make(name: str, *words: str) -> dict[str, Any]:
        done = call(*words_of(folder), f"hydra.run.dir={name}", *words)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads((tmp_path / name / "result.json").read_text())
        return found

    return make


def test_a_run_learns_and_leaves_its_answers(run: Run, tmp_path: Path) -> None:
    metrics = run("run", "fit.epochs=8", "optim.lr=0.02")["metrics"]
    assert metrics["test/log_likelihood"] > metrics["frozen/log_likelihood"] + 1
    low, gain = metrics["gain/log_likelihood_low"], metrics["gain/log_likelihood"]
    assert 0 < low < gain == pytest.approx(metrics["test/log_likelihood"] - metrics["frozen/log_likelihood"])
    with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["item"] for row in rows] == [str(row) for row in range(7)]
    assert list(rows[0]) == ["item", "class", "right", "value_right", "nll", "tokens", "said"]
    assert sum(float(row["nll"]) for row in rows) / 7 == pytest.approx(metrics["test/answer_nll"])
    model = peftlab.load(tmp_path / "run")
    assert not any("head" in name for name in model.state())
    assert model(**model.network.backbone.input_spec.example()).shape == (1, 258)


@pytest.mark.parametrize("words", [
    ("scaling=meta", "scaling.outer.every=2", "scaling.outer.warmup=1"),
    ("scaling=gated",),
    ("peft=soft_prompt",),
    ("placement=gradient_norm", "placement.keep=2"),
    ("fit.select=best", "dataset.val_fraction=0.3", "task.decode=always"),
    ("experiment=noah", "dataset.val_fraction=0.3", "placement.epochs=1", "placement.generations=1"),
])  # fmt: skip
def test_what_other_runs_do(run: Run, words: tuple[str, ...]) -> None:
    metrics = run("run", *words)["metrics"]
    assert metrics["test/log_likelihood"] < 0
    assert metrics["test/mean_acc"] >= 0


@pytest.mark.parametrize("kind", ["bart", "t5"])
@pytest.mark.parametrize("words", [("peft=lora",), ("peft=soft_prompt", "peft.num_tokens=3")])
def test_an_encoder_with_a_decoder(
    call: Callable[..., Any],
    model_folder: Callable[..., Path],
    tmp_path: Path,
    kind: str,
    words: tuple[str, ...],
) -> None:
    """A run learns, and the answers of its test are those that it gives to the questions alone."""
    folder = write_answers(tmp_path / "sums")
    model = model_folder(kind, "model." if kind == "bart" else "")
    done = call(*words_of(folder, model), "hydra.run.dir=run", "fit.epochs=8", "optim.lr=0.02", *words)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    # a few vectors before the texts of a network of random numbers can do little
    is_wide = "peft=lora" in words
    assert not is_wide or metrics["test/log_likelihood"] > metrics["frozen/log_likelihood"] + 0.4
    with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
        said = [row["said"] for row in csv.DictReader(file)]
    assert not is_wide or len(set(said)) > 1
    lines = (folder / "test.jsonl").read_text().splitlines()
    trained = read_run(tmp_path / "run")
    questions = [json.loads(line)["question"] for line in lines]
    found = predict_answers(trained, questions, batch_size=3)
    assert [*csv.reader(StringIO(table_text([[one] for one in found])))] == [[one] for one in said]


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    run: Run, call: Callable[..., Any], tmp_path: Path
) -> None:
    words = words_of(tmp_path / "sums")
    meta = ("fit.epochs=2", "scaling=meta", "scaling.outer.every=2", "scaling.outer.warmup=1")
    assert call(*words, *meta, "hydra.run.dir=parts", "fit.stop_after=1").code == 0
    found, expected = (run(name, *meta) for name in ("parts", "whole"))
    assert found["metrics"] == expected["metrics"]
    states = [peftlab.load(tmp_path / name).state() for name in ("parts", "whole")]
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


def test_a_sweep_is_the_same_on_one_trunk_and_has_a_page(
    run: Run, call: Callable[..., Any], tmp_path: Path
) -> None:
    words = (
        "-m",
        *words_of(tmp_path / "sums"),
        "placement.depth=0,1",
        "seed=0,1",
        "dataset.val_fraction=0.25",
    )
    for name, more in (("apart", ()), ("fused", ("hydra/launcher=fused",))):
        done = call(*words, *more, f"hydra.sweep.dir={name}")
        assert done.code == 0, done.err
    for folder in sorted((tmp_path / "apart").iterdir()):
        if not (folder / "result.json").is_file():
            continue
        found, expected = (
            json.loads((tmp_path / name / folder.name / "result.json").read_text())
            for name in ("fused", "apart")
        )
        assert found["metrics"] == pytest.approx(expected["metrics"], nan_ok=True)
        assert (tmp_path / "fused" / folder.name / "predictions.csv").is_file()
    assert report([str(tmp_path / "apart")]) == 0
    page = (tmp_path / "apart" / "report" / "index.html").read_text()
    assert "log_likelihood" in page
