"""Counting answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from peftlab.evaluate.evaluate import evaluate
from peftlab.inputs.batch import Batch


def batches() -> list[Batch]:
    """Five pictures, whose first pixel is the class that is answered."""
    labels = torch.tensor([0, 1, 1, 2, 2])
    images = torch.zeros(5, 3, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([0.0, 1, 2, 2, 0])
    return [
        Batch({"images": images[:3]}, labels[:3], torch.arange(3)),
        Batch({"images": images[3:]}, labels[3:], torch.arange(3, 5)),
    ]


def test_counts_every_image_once_and_without_a_graph() -> None:
    entered: list[int] = []
    weight = torch.ones(1, requires_grad=True)

    def outputs(inputs: dict[str, Tensor]) -> Tensor:
        assert len(entered) == 1, "inside the context"
        result = nn.functional.one_hot(inputs["images"][:, 0, 0, 0].long(), 3).float() * weight
        assert not result.requires_grad
        return result

    class Context:
        def __enter__(self) -> None:
            entered.append(1)

        def __exit__(self, *error: object) -> None:
            entered.pop()

    counts = evaluate(outputs, batches(), 3, torch.device("cpu"), Context)
    assert counts.correct.tolist() == [1, 1, 1]
    assert counts.total.tolist() == [1, 2, 2]
    assert counts.predicted.tolist() == [2, 1, 2]


@pytest.mark.parametrize("training", [True, False])
def test_a_run_counts_in_eval_mode_and_restores_the_mode(
    composed: Callable[..., dict[str, Any]], tmp_path: Path, training: bool
) -> None:
    """Who gives the outputs says in which mode they are computed."""
    from peftlab.build.experiment import build
    from peftlab.config.resolve import resolve
    from peftlab.record.record import Record
    from peftlab.run.state import Run

    config = composed("backbone=tiny", "dataset=digits_lt", "head.init=random", "tracker=none")
    experiment = build(resolve(config))
    experiment.cell.train(training)
    seen: list[bool] = []
    handle = experiment.cell.head.register_forward_hook(
        lambda module, args, out: seen.append(module.training)
    )
    run = Run(experiment, Record(tmp_path, {}, config, None), None)
    counts = run.count(experiment.trunk.dataset.train)
    handle.remove()
    assert int(counts.total.sum()) == len(experiment.train)
    assert seen
    assert not any(seen)
    assert experiment.cell.training == training
    assert experiment.cell.head.training == training
