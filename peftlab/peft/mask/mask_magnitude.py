"""peft=mask_magnitude: the single weights with the largest gradients."""

from peftlab.option import Fraction, PositiveInt
from peftlab.peft.mask.gradient_score import gradient_score
from peftlab.peft.mask.mask_size import mask_size
from peftlab.peft.mask.top_k import top_k
from peftlab.peft.weights import Chosen, Weights


def mask_magnitude(
    weights: Weights,
    *,
    keep_ratio: Fraction,
    num_samples: PositiveInt,
    count_head: bool,
    outside_blocks: bool,
) -> Chosen:
    """The largest sum_n |dL(x_n, y_n)/dw| of all placed weights together, at the start.

    Source: the code of Sung et al. 2021, arXiv:2111.09839 (`label-absolute`).

    Raises:
        UserError: for a budget that nothing fits, or gradients that are all 0.
    """
    candidates = weights.candidates(outside_blocks)
    available = sum(weight.value.numel() for weight in candidates)
    k = mask_size(weights, available, keep_ratio=keep_ratio, count_head=count_head)
    return top_k(candidates, gradient_score(candidates, weights.gradients(num_samples), "magnitude"), k)
