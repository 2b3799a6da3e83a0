"""Parameter-efficient transfer of vision transformers: placement x fixed or meta-learned scaling."""

from typing import TYPE_CHECKING, Any

from peftlab.errors import UserError

if TYPE_CHECKING:
    from peftlab.model.load import load

__all__ = ["UserError", "load"]


def __getattr__(name: str) -> Any:
    """`peftlab.load`, imported on first use: it brings torch, which the command line does not wait for."""
    if name == "load":
        from peftlab.model.load import load

        return load
    raise AttributeError(f"module peftlab has no attribute {name}")
