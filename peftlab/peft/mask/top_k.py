"""The k best of many entries."""

import torch
from torch import Tensor

from peftlab.peft.weights import Chosen, Weight


def top_k(candidates: list[Weight], scores: list[Tensor], k: int) -> Chosen:
    """The mask of exactly the k largest scores of all candidates together; of equal ones, the first in order.

    Beside the scores no more than k of them are held at a time.
    """
    best = scores[0].new_empty(0)
    for values in scores:
        pool = torch.cat([best, values.flatten()])
        best = pool.topk(min(k, len(pool))).values
    least = best.min()
    room = k - int((best > least).sum())
    chosen: Chosen = []
    for weight, values in zip(candidates, scores, strict=True):
        mask = values > least
        equal = (values == least).flatten().nonzero().squeeze(-1)[:room]
        mask.view(-1)[equal] = True
        room -= len(equal)
        if mask.any():
            chosen.append((weight, mask))
    return chosen
