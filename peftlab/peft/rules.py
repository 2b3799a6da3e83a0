"""What a method must obey whatever it is placed on. Asked without torch."""

from collections.abc import Iterable

from peftlab.errors import UserError
from peftlab.peft.part import INSERTIONS, Part
from peftlab.site import LINEAR, Site


def check_part(part: Part) -> None:
    """Its insertion, its positions, its ranks and its scale go with its form.

    Raises:
        UserError: for the first that does not.
    """
    given, word = part.insertion, part.form.word
    if part.is_selection != (given == "in_place"):
        legal = ["in_place"] if part.is_selection else [name for name in INSERTIONS if name != "in_place"]
        raise UserError(f"{part.path}.insertion={given} does not go with {word}; legal: {', '.join(legal)}")
    if "OfWeight" in part.traits and given != "parallel":
        raise UserError(
            f"{part.path}.insertion={given} does not go with {word}, which is made from the weight beside it; legal: parallel"
        )
    places = LINEAR if "OfWeight" in part.traits else INSERTIONS[given]
    if not set(part.positions) <= set(places) or not (part.is_selection or part.positions):
        raise UserError(
            f"{part.path}.positions=[{', '.join(part.positions)}] does not go with {given}; legal: some of {', '.join(places)}"
        )
    rank, eval_rank = (part.form.options.get(key) for key in ("rank", "eval_rank"))
    if eval_rank is not None and eval_rank > rank:
        raise UserError(
            f"{part.path}.eval_rank={eval_rank} is not a rank of {word}; legal: 1 to {rank}, or null"
        )
    if part.is_selection and part.scale is not None:
        raise UserError(
            f"{part.path}.scale={part.scale} does not go with {word}, which has no delta; legal: null"
        )


def check_rule(rule: str, parts: Iterable[Part]) -> None:
    """A rule divides by a width that a site has, and that stays as it is.

    Raises:
        UserError: for a form that divides by the width of each step itself (DyLoRA), or where no scaled part has a width.
    """
    scaled = [part for part in parts if part.scale is not None]
    if rule == "plain" or not scaled:
        return
    nested = next((part for part in scaled if "Nested" in part.traits), None)
    if nested is not None:
        raise UserError(
            f"scaling.rule={rule} divides by the largest width, and {nested.form.word} divides by the width of each step"
            " itself, so it would be divided twice; legal: plain, which is alpha / b"
        )
    if all(part.width_key is None for part in scaled):
        raise UserError(
            f"scaling.rule={rule} divides by a width, and {scaled[0].form.word} has none, so the rule would do nothing;"
            " legal: plain"
        )


def check_rank(part: Part, site: Site, rank: int, widths: tuple[int, int]) -> None:
    """A product of two factors has no more ranks than the site has features; what all sites share (VeRA) is no site's.

    Raises:
        UserError: for more.
    """
    if part.width_key == "rank" and "Sharing" not in part.traits and rank > max(widths):
        raise UserError(
            f"{part.path}.rank={rank} at {site} is above what its {widths[0]} and {widths[1]} features have; legal: 1 to"
            f" {max(widths)}"
        )
