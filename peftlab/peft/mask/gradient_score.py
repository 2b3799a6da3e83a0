"""How much the loss depends on every weight, summed over training items."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from peftlab.errors import UserError
from peftlab.peft.weights import Weight

Score = Literal["fisher", "magnitude"]


def gradient_score(
    candidates: list[Weight], gradients: Iterable[dict[str, Tensor]], kind: Score
) -> list[Tensor]:
    """fisher: sum_n g_n^2; magnitude: sum_n |g_n|; in the shape of every candidate, with one running sum for each.

    Raises:
        UserError: if the sums say nothing: not finite, or all of them 0.
    """
    sums = [torch.zeros_like(weight.value) for weight in candidates]
    for gradient in gradients:
        for total, weight in zip(sums, candidates, strict=True):
            part = weight.of(gradient[weight.name])
            if kind == "fisher":
                total.addcmul_(part, part)
            else:
                total.add_(part.abs())
    if not all(bool(total.isfinite().all()) for total in sums):
        raise UserError(
            "peft: the gradients at the start are not finite, so they score no weight; legal: a backbone and inputs that are"
        )
    if not any(bool(total.any()) for total in sums):
        raise UserError(
            "peft: no gradient reaches the backbone at the start, so all weights score 0 (a head of zeros passes none);"
            " legal: another head.init"
        )
    return sums
