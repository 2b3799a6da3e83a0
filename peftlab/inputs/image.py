"""What a backbone expects of its input images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class InputSpec:
    """Side length in pixels, per-channel mean and std of pixels in [0, 1], interpolation, centre-crop share."""

    noun: ClassVar[str] = "images"

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_pct: float

    def example(self) -> dict[str, Float[Tensor, "1 3 h w"]]:
        """The inputs of one grey picture."""
        return {"images": torch.zeros(1, 3, self.size, self.size)}
