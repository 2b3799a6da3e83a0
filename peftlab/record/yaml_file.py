"""The reader of the YAML files of a run folder."""

from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.inputs.yaml_text import parse_yaml

MAX_BYTES = 2**24
WAY_OUT = "legal: a whole copy of it, or the same command with resume=false, which runs it again"


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a file, which is called `what`.

    Raises:
        UserError: if there is no mapping in it, or it cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} has more than {MAX_BYTES} bytes; the file is damaged; {WAY_OUT}")
        found = parse_yaml(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is not YAML; the file is damaged; {WAY_OUT}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {WAY_OUT}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no {what}; the file is damaged; {WAY_OUT}")
    return found
