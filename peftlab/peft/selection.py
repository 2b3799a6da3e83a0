"""The interface of every method that trains weights of the backbone itself."""

from abc import ABC, abstractmethod
from typing import ClassVar

from peftlab.peft.weights import Chosen, Weights


class Selection(ABC):
    """Which weights are trained in place. There is no delta, so no scale and no gamma.

    `width_key` is the option that sets how many they are, where one does.
    """

    width_key: ClassVar[str | None] = None

    @abstractmethod
    def choose(self, weights: Weights) -> Chosen:
        """Some of the weights, whole or by a mask."""
