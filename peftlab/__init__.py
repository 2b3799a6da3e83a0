"""Parameter-efficient transfer of vision transformers: placement x fixed or meta-learned scaling."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from peftlab.errors import UserError

if TYPE_CHECKING:
    from peftlab.model.adapt import adapt
    from peftlab.model.load import load

__all__ = ["UserError", "__version__", "adapt", "load"]
__version__ = "0.2.0"
_DOORS = {"adapt": "peftlab.model.adapt", "load": "peftlab.model.load"}


def __getattr__(name: str) -> Any:
    """`peftlab.adapt` and `peftlab.load`, imported on first use: they bring torch, which the command line does not wait for."""
    if name in _DOORS:
        return getattr(import_module(_DOORS[name]), name)
    raise AttributeError(f"module peftlab has no attribute {name}")
