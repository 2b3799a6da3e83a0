"""The options that launchers have in common, and what of them is legal."""

from peftlab.errors import UserError


def check_options(**options: object) -> None:
    """Raises UserError for an option of a launcher that is not legal: `fused` is a switch, all others are null or above 0, and those
    of seconds and GiB need not be whole."""
    for key, value in options.items():
        kinds = (int, float) if key.endswith(("_s", "_gb")) else (int,)
        legal = f"a {'' if len(kinds) > 1 else 'whole '}number above 0, or null"
        is_number = isinstance(value, kinds) and not isinstance(value, bool) and value > 0
        if key == "fused":
            legal, is_number = "true or false", isinstance(value, bool)
        if not is_number and (value is not None or key == "fused"):
            raise UserError(f"hydra.launcher.{key}={value} is not legal; legal: {legal}")
