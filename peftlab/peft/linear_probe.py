"""peft=linear_probe: only the head is trained."""

from dataclasses import dataclass

from peftlab.peft.selection import Selection
from peftlab.peft.weights import Chosen, Weights


@dataclass(frozen=True, kw_only=True)
class LinearProbe(Selection):
    """None of the backbone's parameters."""

    def choose(self, weights: Weights) -> Chosen:
        """The chosen weights."""
        return []
