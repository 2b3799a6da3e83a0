"""peft=mask_heads: whole attention heads, by their score."""

from peftlab.errors import UserError
from peftlab.option import Fraction, PositiveInt
from peftlab.peft.mask.gradient_score import Score
from peftlab.peft.mask.top_groups import Sliced, choose_groups
from peftlab.peft.weights import Chosen, Weights


def mask_heads(
    weights: Weights, *, keep_ratio: Fraction, num_samples: PositiveInt, score: Score, count_head: bool
) -> Chosen:
    """Head i is its rows of q, k and v (weight and bias) and its columns of the output projection, as far as placed.

    Its score is the mean of sum_n g_n^2 (or |g_n|) over them.

    Source: the scores of Sung et al. 2021, arXiv:2111.09839. Differs: tied within a head, which is a design of our own.

    Raises:
        UserError: for a budget that no head fits, gradients that are all 0, or blocks whose heads are unknown.
    """
    slices = []
    for weight in weights.inside:
        assert weight.site is not None
        block, position = weight.site
        if block not in weights.num_heads:
            raise UserError(
                f"peft: mask_heads does not know the heads of {weight.site}, whose attention is of its own kind; legal:"
                " blocks with the position kv"
            )
        if position in ("q", "k", "v"):
            slices.append(Sliced(weight, 0, weights.num_heads[block]))
        elif position == "out" and weight.value.dim() == 2:  # its bias belongs to no head
            slices.append(Sliced(weight, 1, weights.num_heads[block]))
    return choose_groups(
        weights, slices, keep_ratio=keep_ratio, num_samples=num_samples, score=score, count_head=count_head
    )
