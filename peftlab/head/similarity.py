"""head=similarity: how near the vector of an image is to those of the classes, both made by the backbone."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Similarity(nn.Module):
    """z_c = s <x, w_c> + b for vectors of length 1; s and b are the backbone's own, and log s is trained with `learn_scale`.

    Source: Radford et al. 2021 (CLIP), arXiv:2103.00020, section 2.3; b: Zhai et al. 2023 (SigLIP), arXiv:2303.15343.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        start: Float[Tensor, "2"] | None,
        rng: torch.Generator,
        *,
        learn_scale: bool,
    ) -> None:
        """`start` is (s, b)."""
        super().__init__()
        self.num_classes = num_classes
        scale, bias = (torch.ones(2) if start is None else start).clone().unbind()
        self.scale: Tensor
        self.bias: Tensor
        self._learns, self._has_bias = learn_scale, bool(bias)
        if learn_scale:
            self.log_scale = nn.Parameter(scale.log())
        else:
            self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, features: Float[Tensor, "n d"] | Float[Tensor, "b n d"]) -> Float[Tensor, "b c"]:
        """Scores of the classes: behind the images stand the classes, once or for each image."""
        scale = self.log_scale.exp() if self._learns else self.scale
        if features.ndim == 3:
            found = (scale * features[:, :1] @ features[:, 1:].mT).squeeze(1)
        else:
            found = scale * features[: -self.num_classes] @ features[-self.num_classes :].T
        return found + self.bias if self._has_bias else found

    def over(self, num_classes: int) -> "Similarity":
        """The same head over so many other classes."""
        other = copy.copy(self)
        other.num_classes = num_classes
        return other
