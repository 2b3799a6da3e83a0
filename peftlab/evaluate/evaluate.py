"""Count the right and wrong answers of a model on one split."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
from torch import nn

from peftlab.evaluate.metrics import Counts
from peftlab.inputs.batch import Batch


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    num_classes: int,
    device: torch.device,
    context: Callable[[], AbstractContextManager],
) -> Counts:
    """Argmax predictions, without the logit adjustment of training; the model is left in the mode it came in."""
    counts, training = Counts.zeros(num_classes), model.training
    model.eval()
    for batch in batches:
        with context():
            logits = model(batch.inputs["images"].to(device))
        counts.update(logits.argmax(-1).cpu(), batch.targets)
    model.train(training)
    return counts
