"""JSON that every reader takes, and a reader that takes every file."""

import json
import math
from pathlib import Path
from typing import Any


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON with a line end; a number that is not finite becomes null."""
    return json.dumps(_plain(value), indent=indent) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a file, or {} if it is absent or not readable as one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # absent; not JSON, not even text; too deep
        return {}
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
