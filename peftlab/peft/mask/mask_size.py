"""How many entries a mask may train."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from peftlab.errors import UserError
from peftlab.option import Fraction
from peftlab.peft.weights import Weights


def mask_size(
    weights: Weights, available: int, smallest: int = 1, *, keep_ratio: Fraction, count_head: bool
) -> int:
    """k = floor(keep_ratio * num_backbone), less the head's parameters if `count_head`.

    `available` entries lie inside the placement, and the mask consists of units of at least `smallest` of them.

    Source: the code of Sung et al. 2021, arXiv:2111.09839 (the head is trained always, and inside the budget).

    Raises:
        UserError: if k holds no unit, or more than there is, with the nearest legal ratio.
    """
    if available == 0:
        raise UserError(
            "peft: the placement holds none of the weights that this mask chooses from; choose other positions"
        )
    num_head = weights.num_head if count_head else 0
    ratio = Decimal(str(keep_ratio))  # as it is written: the float 0.29 times 100 is below 29
    k = math.floor(ratio * weights.num_backbone) - num_head
    said = f"peft: keep_ratio={keep_ratio} leaves a budget of {k} of {weights.num_backbone} weights"
    said += f" (the head's {num_head} are counted)" if count_head else ""
    if k < smallest:
        least = _ratio(smallest + num_head, weights.num_backbone, ROUND_CEILING)
        raise UserError(f"{said}, and the smallest mask has {smallest}; legal: {least} or above")
    if k > available:
        most = _ratio(available + num_head, weights.num_backbone, ROUND_FLOOR)
        raise UserError(f"{said}, and the placement holds {available}; legal: {most} or below")
    return k


def _ratio(num: int, total: int, rounding: str) -> str:
    """num / total with three digits, on the side where it is legal."""
    return f"{Context(prec=3, rounding=rounding).divide(Decimal(num), Decimal(total)):f}"
