"""Count the right and wrong answers on one split."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.evaluate.metrics import Counts
from peftlab.inputs.batch import Batch

Outputs = Callable[[dict[str, Tensor]], Float[Tensor, "b _"]]


@torch.no_grad()
def evaluate(
    outputs: Outputs,
    batches: Iterable[Batch],
    num_classes: int,
    device: torch.device,
    context: Callable[[], AbstractContextManager[None]],
) -> Counts:
    """Argmax of the outputs, without the logit adjustment of training; further columns are features."""
    counts = Counts.zeros(num_classes)
    for batch in batches:
        with context():
            found = outputs(batch.to(device).inputs)
        counts.read(found, batch.targets)
    return counts
