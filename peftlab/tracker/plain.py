"""Values as any tracker takes them: JSON's kinds and text that is UTF-8, whatever a file or a class is called."""

from numbers import Integral, Real
from typing import Any


def plain(value: Any) -> Any:
    """Mappings and lists of scalars; anything else as text, in which bytes of a name that are no UTF-8 are `\\udcff`."""
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Real):  # numpy's too
        return int(value) if isinstance(value, Integral) else float(value)
    return str(value).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
