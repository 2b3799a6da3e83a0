"""head=unembedding: the frozen output embedding of a network that writes texts."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Unembedding(nn.Module):
    """z = U f, of the backbone: nothing of it is trained, and nothing of it is saved with a run."""

    def __init__(
        self, num_features: int, num_classes: int, unembedding: nn.Module | None, rng: torch.Generator
    ) -> None:
        """The first two and the last one are what other heads need.

        Raises:
            ValueError: without an output embedding.
        """
        super().__init__()
        if unembedding is None:
            raise ValueError("head=unembedding needs a backbone with an output embedding")
        self._of_backbone = (unembedding,)  # no module of its own

    def forward(self, features: Float[Tensor, "t d"]) -> Float[Tensor, "t v"]:
        """A score of every token of the vocabulary."""
        scores: Tensor = self._of_backbone[0](features)
        return scores
