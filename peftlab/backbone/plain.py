"""The one way to the numbers of a weight, however they are kept."""

from typing import Any

from torch import Tensor


def plain(weight: Tensor) -> Tensor:
    """What is multiplied by: of a weight in int8 a new tensor in fp32, of any other the tensor itself.

    What changes, cuts or joins weights asks here: a weight in int8 can be neither cut into q, k and v nor added to.
    """
    if not is_int8(weight):
        return weight
    kept: Any = weight
    numbers: Tensor = kept.dequantize()
    return numbers


def is_int8(weight: Tensor) -> bool:
    """Whether it is one of torchao's."""
    return hasattr(weight, "qdata")
