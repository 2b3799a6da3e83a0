"""placement.budget: as many parameters in the deltas, wherever they are placed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

from peftlab.errors import UserError
from peftlab.option import Range
from peftlab.site import Site, site_order

UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
MOST = 1_000_000_000_000
LEGAL = f"from 1 to {MOST} parameters, as in 300000, 300k or 0.3M, or null"
_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[eE]\+?\d+)?) *([kM]?)")


@dataclass(frozen=True)
class Budget:
    """What every placement may say beside its own options: how many parameters its deltas have, to 1 %.

    Counted is what the deltas keep after training, biases included: not the head, not gamma, not gates, and of a
    prefix with `mlp` the vectors alone. null leaves the widths (rank, bottleneck, length, num_tokens) to the method. `tower` is
    where deltas may stand in a network of two; null is both.
    """

    budget: Annotated[float | int, Range(1, 1_000_000_000_000)] | str | None
    tower: Literal["both", "image", "text"] | None


class Cost(NamedTuple):
    """The delta of a site has fixed + step * width parameters; `nominal` is its width without a budget."""

    site: Site
    fixed: int
    step: int
    nominal: int


def parse_budget(given: int | float | str | None) -> int | None:
    """The number of parameters that `given` means.

    Raises:
        UserError: if it cannot be read.
    """
    if given is None:
        return None
    match = _NUMBER.fullmatch(str(given).strip())
    number = Decimal(match.group(1)) * UNITS[match.group(2)] if match else Decimal(0)
    if not 1 <= number <= MOST:
        raise UserError(f"placement.budget={given} is no number of parameters; legal: {LEGAL}")
    return int(number)


def solve(costs: Sequence[Cost], budget: int) -> dict[Site, int]:
    """Whole widths whose parameters sum to the budget within 1 %, in the proportions of the nominal ones.

    width = floor(max(1, t nominal)) with one factor t for all sites. What is left goes to single sites, one more each,
    as long as the sum comes nearer: first where the floor took most, and among equals in bit-reversed order of (block,
    position), which spreads any number of them over the depth. It succeeds whenever the budget holds a width of 1
    everywhere and no site's step exceeds 2 % of it.

    Raises:
        UserError: if no sum within 1 % is reached, with the nearest ones.
    """
    room = budget - sum(cost.fixed for cost in costs)
    free = sorted((cost for cost in costs if cost.step), key=lambda cost: site_order(cost.site))
    if not free:
        raise UserError(
            f"placement.budget={budget}: no placed site has a width to solve for; legal: null, or other sites"
        )
    factor = _factor(free, room)
    exact = [max(Fraction(1), factor * cost.nominal) for cost in free]
    widths = [int(width) for width in exact]
    left = room - sum(width * cost.step for width, cost in zip(widths, free, strict=True))
    spread = _spread(len(free))
    nearest = [budget - left]
    for index in sorted(range(len(free)), key=lambda index: (widths[index] - exact[index], spread[index])):
        step = free[index].step
        nearest.append(budget - left + step)
        if step < 2 * left:
            widths[index] += 1
            left -= step
    if 100 * abs(left) > budget:
        _refuse(budget, nearest)
    return {cost.site: width for cost, width in zip(free, widths, strict=True)}


def _factor(free: Sequence[Cost], room: int) -> Fraction:
    """t with sum of step * max(1, t nominal) = room, or 0 if that is too much."""
    large = list(free)
    while large:
        held = sum(cost.step for cost in free if cost not in large)
        factor = Fraction(room - held, sum(cost.step * cost.nominal for cost in large))
        small = [cost for cost in large if factor * cost.nominal < 1]
        if not small:
            return factor
        large = [cost for cost in large if cost not in small]
    return Fraction(0)


def _spread(num: int) -> list[int]:
    """The ranks 0..num-1 by their binary digits read backwards: 0, 1/2, 1/4, 3/4 ... of the way."""
    digits = max(1, (num - 1).bit_length())
    return [int(f"{index:0{digits}b}"[::-1], 2) for index in range(num)]


def _refuse(budget: int, reached: list[int]) -> None:
    below = [total for total in reached if total < budget]
    above = [total for total in reached if total > budget]
    legal = [f"{total:_}" for total in ([max(below)] if below else []) + ([min(above)] if above else [])]
    why = (
        "falls between two sizes of the deltas" if below else "is less than a width of 1 at every site costs"
    )
    raise UserError(
        f"placement.budget={budget} {why}; legal: within 1 % of {' or of '.join(legal)}, or other sites"
    )
