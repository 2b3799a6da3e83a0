"""The kinds of value a config key can have, used as annotations of keyword arguments.

`peftlab.config` reads these names from the signatures and refuses a value of another kind before torch is imported.
"""

from typing import Annotated

PositiveInt = Annotated[int, "a whole number above 0"]
NonNegativeInt = Annotated[int, "a whole number, 0 or above"]
PositiveFloat = Annotated[float, "a number above 0"]
NonNegativeFloat = Annotated[float, "a number, 0 or above"]
Fraction = Annotated[float, "a number from 0 to 1"]
