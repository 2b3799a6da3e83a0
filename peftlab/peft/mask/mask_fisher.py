"""peft=mask_fisher: the single weights with the largest Fisher information."""

from typing import Literal

from peftlab.option import Fraction, PositiveInt
from peftlab.peft.mask.gradient_score import gradient_score
from peftlab.peft.mask.mask_size import mask_size
from peftlab.peft.mask.top_k import top_k
from peftlab.peft.weights import Chosen, Weights


def mask_fisher(
    weights: Weights,
    *,
    keep_ratio: Fraction,
    num_samples: PositiveInt,
    fisher: Literal["empirical", "expected"],
    count_head: bool,
    outside_blocks: bool,
) -> Chosen:
    """empirical: sum_n (dL(x_n, y_n)/dw)^2; expected: sum_n sum_y p(y|x_n) (d log p(y|x_n)/dw)^2, one backward per class.

    The best of all placed weights together, at the weights and the head that training starts with. L is the run's own
    loss, and p the softmax of the logits whatever the loss.

    Source: Sung et al. 2021, arXiv:2111.09839 (in its code `label-square` and `expect-square`).

    Raises:
        UserError: for a budget that nothing fits, or gradients that are all 0.
    """
    candidates = weights.candidates(outside_blocks)
    available = sum(weight.value.numel() for weight in candidates)
    k = mask_size(weights, available, keep_ratio=keep_ratio, count_head=count_head)
    gradients = weights.gradients if fisher == "empirical" else weights.class_gradients
    return top_k(candidates, gradient_score(candidates, gradients(num_samples), "fisher"), k)
