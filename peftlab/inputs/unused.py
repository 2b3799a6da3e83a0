"""What timm and transformers import and nothing here uses: torch's compiler (1.7 s) and wandb (0.5 s)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch

from peftlab.inputs.garbage import uncollected

NAMES = ("torch._dynamo.utils", "wandb")
ONE_FUNCTION = "is_compile_supported"  # what torchvision.ops imports by name


@contextmanager
def without_unused() -> Iterator[None]:
    """Inside, an import of them gets a module that loads the real one when somebody uses it; afterwards all is as it was."""
    put = {
        name: _Later(name) for name in NAMES if name not in sys.modules and find_spec(name.partition(".")[0])
    }
    disable: Any = torch.compiler.disable
    later: Any = getattr(torch, "_disable_dynamo", disable)  # the same, when what it decorates is called
    sys.modules.update(put)
    torch.compiler.disable = later
    try:
        with uncollected():
            yield
    finally:
        torch.compiler.disable = disable
        for name, stub in put.items():
            if sys.modules.get(name) is stub:
                del sys.modules[name]


class _Later(ModuleType):
    """A module that is loaded at the first use of what it holds."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # accelerate asks for it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == ONE_FUNCTION:
            return self._called_later(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)

    def _called_later(self, name: str) -> Callable[..., Any]:
        return lambda *args: getattr(import_module(self.__name__), name)(*args)
