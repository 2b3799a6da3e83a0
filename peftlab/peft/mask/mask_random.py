"""peft=mask_random: single weights drawn at random, the control of the other masks."""

import torch
from torch import Tensor

from peftlab.option import Fraction, NonNegativeInt
from peftlab.peft.mask.mask_size import mask_size
from peftlab.peft.mask.top_k import top_k
from peftlab.peft.weights import Chosen, Weight, Weights
from peftlab.stream import generator


def mask_random(
    weights: Weights, *, keep_ratio: Fraction, count_head: bool, outside_blocks: bool, seed: NonNegativeInt
) -> Chosen:
    """Every k of the placed weights are equally likely.

    A weight's draws are its own, so two placements rank the weights that they share in the same order.

    Source: a control in the code of Sung et al. 2021, arXiv:2111.09839.

    Raises:
        UserError: for a budget that nothing fits.
    """
    candidates = weights.candidates(outside_blocks)
    available = sum(weight.value.numel() for weight in candidates)
    k = mask_size(weights, available, keep_ratio=keep_ratio, count_head=count_head)
    return top_k(candidates, [_draws(weight, seed) for weight in candidates], k)


def _draws(weight: Weight, seed: int) -> Tensor:
    """Double precision, since single precision has only 2^24 different draws and so ties among 10^7."""
    rng = generator(seed, "mask_random", weight.name, *weight.part)
    return torch.rand(weight.value.shape, generator=rng, dtype=torch.float64)
