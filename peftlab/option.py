"""What a config may say: kinds of value, and choices, which are functions of this package with their options.

`peftlab.config.signature` reads the names of the kinds from signatures and refuses a value of another kind before torch is imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, NamedTuple


class Check(NamedTuple):
    """What a value must be, in words and as a test."""

    text: str
    test: Callable[[float], bool]


PositiveInt = Annotated[int, Check("a whole number above 0", lambda value: value > 0)]
NonNegativeInt = Annotated[int, Check("a whole number, 0 or above", lambda value: value >= 0)]
PositiveFloat = Annotated[float | int, Check("a number above 0", lambda value: value > 0)]
NonNegativeFloat = Annotated[float | int, Check("a number, 0 or above", lambda value: value >= 0)]
Fraction = Annotated[float | int, Check("a number from 0 to 1", lambda value: 0 <= value <= 1)]


@dataclass(frozen=True)
class Choice:
    """A function or class of this package with its options, to be called with the rest of its arguments.

    `peft=lora` is Choice("peftlab.peft.lora.Lora", {"rank": 8, ...}). An option that is a choice is handed on as it is:
    whoever takes it calls it. Nothing is imported before `function` is asked for.
    """

    target: str
    options: Mapping[str, Any]

    @property
    def word(self) -> str:
        """What people type to choose it, which is the name of its file."""
        return self.target.split(".")[-2]

    @property
    def function(self) -> Callable[..., Any]:
        """What the target names."""
        module, _, name = self.target.rpartition(".")
        function: Callable[..., Any] = getattr(import_module(module), name)
        return function

    def __call__(self, *args: Any, **more: Any) -> Any:
        """What the function gives; `more` replaces options of the same name."""
        return self.function(*args, **{**self.options, **more})
