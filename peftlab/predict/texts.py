"""Class probabilities of texts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.dataset.text.dataset import used_length, used_transform
from peftlab.dataset.text.texts import Columns
from peftlab.dataset.text.tokens import ids_of
from peftlab.model.load import Trained


class Said(NamedTuple):
    """Of each text its probabilities, and how many texts were cut to how many tokens."""

    probabilities: Float[Tensor, "n c"]
    num_cut: int
    max_length: int


def by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """The rows of each batch: texts of like length share one, so that little of it is padding; the longest come first."""
    order = np.argsort([-length for length in lengths], kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size].tolist()


def predict_texts(trained: Trained, columns: Columns, *, batch_size: int) -> Said:
    """softmax(logits) of every text or pair, in their order, its tokens made as in the run, in fp32; on a GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = trained.model.to(device).eval()
    spec: Any = trained.backbone.input_spec
    length = used_length(spec, trained.resolved.dataset.options["max_length"])
    transform = used_transform(spec, length)
    found = spec.tokenizer.encode(columns.first, columns.second, length)
    rows: dict[int, Tensor] = {}
    for part in by_length([len(one.ids) for one in found], batch_size):
        inputs = transform([ids_of(found[row]) for row in part])
        with torch.no_grad():
            logits = model(**{name: value.to(device) for name, value in inputs.items()})
        rows |= dict(zip(part, logits.float().softmax(-1).cpu(), strict=True))
    cut = sum(one.num_dropped > 0 for one in found)
    return Said(torch.stack([rows[row] for row in range(len(found))]), cut, length)
