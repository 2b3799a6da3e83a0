"""What scaling asks of the rest of a config. Asked without torch."""

from peftlab.errors import UserError
from peftlab.option import Choice


def check_gamma(scaling: Choice) -> None:
    """A gamma that is trained has a start that softplus can reach.

    Raises:
        UserError: if not.
    """
    options = scaling.options
    if options.get("activation") == "softplus" and not options["init_raw"] and options["init"] <= 0:
        raise UserError(
            f"scaling.init={options['init']} cannot be reached by softplus; legal: a number above 0"
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
