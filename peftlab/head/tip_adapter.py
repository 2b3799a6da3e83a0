"""head=tip_adapter: the nearness of an image to the names of the classes, and to the training images of each."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.head.similarity import Similarity
from peftlab.option import PositiveFloat


class TipAdapter(Similarity):
    """z_c = s <x, w_c> + b + alpha sum over items i of class c of exp(-beta (1 - <x, k_i>)), for vectors of length 1.

    k_i are the vectors of the training images in the frozen network, and with `learn_keys` (Tip-Adapter-F) where they are trained
    from. Classes without items, as those that are kept for the test, have the first two terms alone.

    Source: Zhang et al. 2022, arXiv:2207.09519, eq. 4 to 6.
    """

    keeps_items = True  # whoever builds it hands it those of the training images by `keep`

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        start: Float[Tensor, "2"] | None,
        rng: torch.Generator,
        *,
        learn_scale: bool,
        alpha: PositiveFloat,
        beta: PositiveFloat,
        learn_keys: bool,
    ) -> None:
        super().__init__(num_features, num_classes, start, rng, learn_scale=learn_scale)
        self._alpha, self._beta, self._learns_keys = alpha, beta, learn_keys
        self._reads_items = True
        self.keep(torch.zeros(0, num_features + 1))

    def keep(self, items: Float[Tensor, "n p"]) -> None:
        """Takes these items, each a vector of length 1 and the class of its image."""
        keys = items[:, :-1].clone()
        if self._learns_keys:
            self.keys = nn.Parameter(keys)
        else:
            self.register_buffer("keys", keys)
        self.labels: Tensor
        self.register_buffer("labels", items[:, -1].long())

    def forward(self, features: Float[Tensor, "n d"] | Float[Tensor, "b n d"]) -> Float[Tensor, "b c"]:
        """Scores of the classes: behind the images stand the classes, once or for each image."""
        named = super().forward(features)
        if not self._reads_items:
            return named
        images = features[:, 0] if features.ndim == 3 else features[: -self.num_classes]
        near = torch.exp(self._beta * (images @ self.keys.T - 1))
        return named + self._alpha * near @ F.one_hot(self.labels, self.num_classes).to(near)

    def over(self, num_classes: int) -> Any:
        """The same head over so many other classes, which have no items."""
        other = copy.copy(self)
        other.num_classes, other._reads_items = num_classes, False
        return other
