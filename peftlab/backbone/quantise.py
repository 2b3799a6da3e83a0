"""backbone.quantise: what can be said of it without torch."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

from peftlab.errors import UserError

Quantise = Literal["int8"] | None


def check_quantise(quantise: Quantise) -> None:
    """That torchao is there for what is kept in eight bits.

    Raises:
        UserError: if it is not.
    """
    if quantise is not None and find_spec("torchao") is None:
        raise UserError(
            f'backbone.quantise={quantise} needs torchao, which is not installed; legal: after pip install "peftlab[quantise]", or'
            " backbone.quantise=null"
        )


def quantise_of(options: Mapping[str, Any]) -> Quantise:
    """What a backbone of these options says of it, or a tower of it; None for one's own."""
    towers = (getattr(options.get(word), "options", {}) for word in ("image", "text"))
    return next((found for own in (options, *towers) if (found := own.get("quantise"))), None)


def check_trained(form: str, path: str, options: Mapping[str, Any]) -> None:
    """That a part of the method, whose form is called so, does not train whole weights that a backbone of these options rounds.

    Raises:
        UserError: if it does.
    """
    quantise = quantise_of(options)
    if quantise is not None and form == "full":
        raise UserError(
            f"{path} trains whole weights (full, partial), which backbone.quantise={quantise} keeps in eight bits; legal:"
            " backbone.quantise=null, or a method that leaves them frozen, as peft=lora or peft=bitfit"
        )
