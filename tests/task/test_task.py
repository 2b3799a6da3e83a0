"""What every task of the YAMLs owes to those that hand its numbers on."""

import inspect
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.answers import words_of, write_answers

from peftlab.build.experiment import Experiment, build
from peftlab.config.directory import config_dir
from peftlab.config.resolve import resolve
from peftlab.dataset.batches import KeptBatches
from peftlab.inputs.batch import Batch
from peftlab.option import Choice
from peftlab.task.task import Task

TASKS = sorted(path.stem for path in (config_dir() / "task").glob("*.yaml"))
CPU = torch.device("cpu")


@pytest.fixture(params=TASKS)
def experiment(composed: Callable[..., Any], request: pytest.FixtureRequest, tmp_path: Path) -> Experiment:
    if request.param == "generate":
        words = words_of(write_answers(tmp_path / "sums"))
    else:
        backbone = "tiny_duo" if request.param == "contrast" else "tiny"
        words = (f"backbone={backbone}", "dataset=digits_lt", "device=cpu", "fit.batch_size=64")
    return build(resolve(composed(f"task={request.param}", "placement.depth=0", *words)))


def public(kind: type) -> set[str]:
    own = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items()}
    return {name for name, value in own.items() if callable(value) and not name.startswith("_")}


def test_there_is_a_task() -> None:
    assert TASKS == ["classify", "contrast", "generate"]


@pytest.mark.parametrize("name", TASKS)
def test_it_has_the_methods_of_a_task_with_their_arguments(composed: Callable[..., Any], name: str) -> None:
    kind = Choice(composed(f"task={name}")["task"]["_target_"], {}).function
    assert isinstance(kind, type)
    assert public(kind) == public(Task)
    for method in public(Task):
        asked, given = (inspect.signature(getattr(owner, method)).parameters for owner in (Task, kind))
        assert list(given) == list(asked)


def measured(experiment: Experiment, batches: Any) -> Any:
    experiment.cell.eval()
    return experiment.task.evaluate(experiment.outputs(is_test=True), batches, CPU, nullcontext)


def test_its_numbers_have_the_names_that_it_says(experiment: Experiment) -> None:
    task = experiment.task
    assert isinstance(task, Task)
    metrics = task.metrics(measured(experiment, experiment.trunk.batches(experiment.train)))
    assert {task.primary, *task.headline} <= metrics.keys()
    assert all(type(value) is float for value in metrics.values())
    assert not any(name.startswith(("test/", "val/")) for name in metrics), "whose they are is said by others"


def test_its_tables_are_rows_of_one_length_that_files_can_hold(experiment: Experiment) -> None:
    task = experiment.task
    counted = measured(experiment, experiment.trunk.batches(experiment.train))
    shown = task.summary(task.metrics(counted))
    for table in [*task.tables(counted).values(), shown.table]:
        assert len(table) > 1
        assert len({len(row) for row in table}) == 1
        assert json.loads(json.dumps(table)) == table
    assert all(type(entry) is str for row in shown.table for entry in row)
    assert len(shown.line.splitlines()) == len(task.data_line(7).splitlines()) == 1
    assert json.loads(json.dumps(task.card())) == task.card()


def test_what_it_counts_does_not_depend_on_the_batches(experiment: Experiment) -> None:
    task, batches = experiment.task, experiment.trunk.batches(experiment.train).kept()
    pieces = KeptBatches(batches.split, [part for batch in batches for part in halves(batch)])
    assert len(pieces.own) == 2 * len(batches.own)
    whole, apart = (task.metrics(measured(experiment, given)) for given in (batches, pieces))
    assert apart == pytest.approx(whole, nan_ok=True)


def halves(batch: Batch) -> list[Batch]:
    """Of unequal length."""
    cut = len(batch.rows) // 3
    return [
        Batch(
            {name: value[part] for name, value in batch.inputs.items()}, batch.targets[part], batch.rows[part]
        )
        for part in (slice(0, cut), slice(cut, None))
    ]


def test_the_loss_of_a_batch_is_the_mean_of_its_parts_by_their_weight(experiment: Experiment) -> None:
    """So that accumulated gradients are those of the whole batch."""
    task = experiment.task
    loss = task.loss(experiment.train.labels, CPU)
    batch = experiment.learner.batches.batch(0)  # type: ignore[attr-defined]

    def of(part: Batch) -> float:
        return loss(experiment.network.outputs([experiment.cell], part.inputs)[0], part.targets).item()

    parts = halves(batch)
    total = sum(task.weight(part) * of(part) for part in parts)
    assert sum(task.weight(part) for part in parts) == task.weight(batch)
    assert total / task.weight(batch) == pytest.approx(of(batch), rel=1e-5)


def test_a_head_is_a_function_of_its_start_and_its_stream(experiment: Experiment) -> None:
    task, trunk = experiment.task, experiment.trunk
    start = trunk.start(task) if task.wants_start() is not None else None
    given = [
        task.head(trunk.backbone, start, torch.Generator().manual_seed(3)).state_dict() for _ in range(2)
    ]
    assert given[0].keys() == given[1].keys()
    assert all(torch.equal(value, given[1][name]) for name, value in given[0].items())
