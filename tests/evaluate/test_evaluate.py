"""Counting answers."""

from contextlib import nullcontext

import torch
from torch import nn

from peftlab.evaluate.evaluate import evaluate
from peftlab.inputs.batch import Batch


class Table(nn.Module):
    """Predicts the class that the first pixel names; dropout shows whether it was switched to eval."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = nn.functional.dropout(torch.ones(1), 1.0, self.training)
        return nn.functional.one_hot(images[:, 0, 0, 0].long(), 3).float() * kept


def test_counts_every_image_once_and_restores_the_mode() -> None:
    labels = torch.tensor([0, 1, 1, 2, 2])
    images = torch.zeros(5, 3, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([0.0, 1, 2, 2, 0])
    batches = [
        Batch({"images": images[:3]}, labels[:3], torch.arange(3)),
        Batch({"images": images[3:]}, labels[3:], torch.arange(3, 5)),
    ]
    model = Table().train()
    counts = evaluate(model, batches, 3, torch.device("cpu"), nullcontext)
    assert counts.correct.tolist() == [1, 1, 1]
    assert counts.total.tolist() == [1, 2, 2]
    assert counts.predicted.tolist() == [2, 1, 2]
    assert model.training
