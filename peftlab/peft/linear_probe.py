"""peft=linear_probe: only the head is trained."""

from peftlab.peft.weights import Chosen, Weights


def linear_probe(weights: Weights) -> Chosen:
    """None of the backbone's parameters."""
    return []
