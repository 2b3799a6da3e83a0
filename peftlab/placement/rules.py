"""What a placement asks of the method that is placed. Asked without torch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.placement.supernet import check_choices

SUPERNETS = ("supernet", "noah")


class Widths(NamedTuple):
    """What a placement has to know of a part: how the command line says it, the option that sets its width, and what
    that is; `key` None is a part without one. `is_elastic`: it can work at a smaller width; `is_selection`: it selects
    weights, and has no delta."""

    path: str
    word: str
    key: str | None
    width: float | None
    is_elastic: bool
    is_selection: bool


def check_budget(given: Any, parts: Mapping[str, Widths]) -> None:
    """There is something to solve for.

    Raises:
        UserError: if the method has no width, or deltas and selected weights would have to share the budget.
    """
    selecting = [name for name, part in parts.items() if part.is_selection]
    if selecting and len(parts) > 1:
        raise UserError(
            f"placement.budget={given} cannot be shared between deltas and the weights that {selecting[0]} selects; legal: null"
        )
    if all(part.key is None for part in parts.values()):
        word = next(iter(parts.values())).word
        raise UserError(
            f"placement.budget={given} has nothing to solve for: {word} has no rank, bottleneck, length, num_tokens or"
            " keep_ratio, so its size is that of its sites; legal: null"
        )


def check_supernet(placement: Choice, budget: Any, rule: str, parts: Mapping[str, Widths]) -> None:
    """placement=supernet and placement=noah share weights among widths: of every part, and of nothing that depends on one.

    Raises:
        UserError: for a part whose width is not the widest choice, a scale that depends on the width, or a budget.
    """
    if placement.word not in SUPERNETS:
        return
    word, widths = placement.word, placement.options["widths"]
    check_choices(widths, placement.options["depths"])
    for name, part in parts.items():
        if not part.is_elastic:
            raise UserError(
                f"placement={word} needs parts of elastic width (rank, bottleneck, num_tokens), and {name} has none;"
                " legal: peft=noah"
            )
        if part.width != widths[-1]:
            raise UserError(
                f"placement.widths={widths} ends at {widths[-1]}, and {part.path}.{part.key}={part.width}; legal: the"
                " same number"
            )
    if rule != "plain":
        raise UserError(
            f"scaling.rule={rule} depends on a width that placement={word} changes in every step; legal: plain"
        )
    if budget is not None:
        raise UserError(f"placement.budget={budget} cannot solve the widths of placement={word}; legal: null")


def check_no_sites(placement: Choice, method: str) -> None:
    """A method without sites is placed everywhere, which is nowhere.

    Raises:
        UserError: for any other placement.
    """
    placed = {placement.options.get(key, "all") for key in ("depth", "position")}
    if placement.word != "grid" or placed != {"all"}:
        raise UserError(
            f"placement has no effect on {method}, which has no sites; legal: depth and position all"
        )
