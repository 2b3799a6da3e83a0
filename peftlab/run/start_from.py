"""fit.start_from=FOLDER: what is trained begins where another run ended, on the same data or on other ones."""

from collections.abc import Mapping
from typing import Any

from peftlab.build.ended import Ended
from peftlab.config.file import read_config
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.record.adapter import read_adapter


def read_ended(resolved: Resolved) -> Ended | None:
    """The run that this one starts from.

    Raises:
        UserError: for a folder that holds none, or a damaged one.
    """
    given = resolved.fit.start_from
    if given is None:
        return None
    folder = expanded(given)
    try:
        tensors, card = read_adapter(folder)
        head: Mapping[str, Any] = read_config(folder)["head"]
    except UserError as error:
        raise UserError(f"fit.start_from={given}: {error}") from error
    return Ended(given, tensors, card, str(head.get("_target_")))
