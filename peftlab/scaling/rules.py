"""What scaling asks of the rest of a config. Asked without torch."""

from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.scaling.plan import OuterPlan


def check_gamma(scaling: Choice, outer: OuterPlan | None) -> None:
    """A gamma that is trained has a start that softplus can reach, and items on both sides of the outer split.

    Raises:
        UserError: for the first rule that is broken.
    """
    options = scaling.options
    if options.get("activation") == "softplus" and not options["init_raw"] and options["init"] <= 0:
        raise UserError(
            f"scaling.init={options['init']} cannot be reached by softplus; legal: a number above 0"
        )
    if outer is not None and not 0 < outer.fraction < 1:
        raise UserError(
            f"scaling.outer.fraction={outer.fraction} leaves no items for {'inner' if outer.fraction else 'the outer'}"
            " steps, and gamma needs both; legal: a number above 0 and below 1, as in 0.2"
        )


def check_unscaled(scaling: Choice, method: str, *, has_delta: bool) -> None:
    """A method of which no part is scaled has fixed scaling, and its plain value.

    Raises:
        UserError: for any other.
    """
    if scaling.word != "fixed":
        why = "stands outside scaling (scale: null)" if has_delta else "has none"
        raise UserError(
            f"scaling={scaling.word} needs a delta to multiply, and {method} {why}; legal: scaling=fixed"
        )
    for key, legal in (("value", None), ("rule", "plain")):
        if scaling.options[key] != legal:
            raise UserError(
                f"scaling.{key}={scaling.options[key]} has nothing to act on: {method} has no delta; legal: {legal or 'null'}"
            )
