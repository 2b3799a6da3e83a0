"""peft=full, peft=partial: every parameter of the placed sites, and of what lies outside the blocks."""

from dataclasses import dataclass

from peftlab.peft.selection import Selection
from peftlab.peft.weights import Chosen, Weights


@dataclass(frozen=True, kw_only=True)
class Full(Selection):
    """All of the placed sites; with `outside_blocks` also embeddings and the last norm. Partial-k is depth -k--1."""

    outside_blocks: bool

    def choose(self, weights: Weights) -> Chosen:
        """The chosen weights."""
        return [(weight, None) for weight in weights.candidates(self.outside_blocks)]
