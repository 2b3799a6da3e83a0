"""peft=full, peft=partial: every parameter of the placed sites, and of what lies outside the blocks."""

from peftlab.peft.weights import Chosen, Weights


def full(weights: Weights, *, outside_blocks: bool) -> Chosen:
    """All of the placed sites; with `outside_blocks` also embeddings and the last norm. Partial-k is depth -k--1."""
    return [(weight, None) for weight in weights.candidates(outside_blocks)]
