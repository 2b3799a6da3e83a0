"""The kinds of value a config key can have, used as annotations of keyword arguments.

`peftlab.config.signature` reads these names from the signatures and refuses a value of another kind before torch is imported.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple


class Check(NamedTuple):
    """What a value must be, in words and as a test."""

    text: str
    test: Callable[[float], bool]


PositiveInt = Annotated[int, Check("a whole number above 0", lambda value: value > 0)]
NonNegativeInt = Annotated[int, Check("a whole number, 0 or above", lambda value: value >= 0)]
PositiveFloat = Annotated[float | int, Check("a number above 0", lambda value: value > 0)]
NonNegativeFloat = Annotated[float | int, Check("a number, 0 or above", lambda value: value >= 0)]
Fraction = Annotated[float | int, Check("a number from 0 to 1", lambda value: 0 <= value <= 1)]
