"""The reader of the YAML files of a run folder."""

from pathlib import Path
from typing import Any

import yaml

from peftlab.errors import UserError


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a file, which is called `what`.

    Raises:
        UserError: if there is no mapping in it.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML; the file is damaged") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no {what}; the file is damaged")
    return found
