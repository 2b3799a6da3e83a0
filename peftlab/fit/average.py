"""fit.ema=DECAY: the exponential moving average of what a cell trains."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Average:
    """After each step a <- decay a + (1 - decay) theta; it begins as what the cell starts from.

    Source: Polyak and Juditsky 1992 for the mean of iterates; the exponential form as `ModelEmaV3` of timm has it, without its warm-up.
    """

    def __init__(self, decay: float, state: Mapping[str, Tensor]) -> None:
        self.decay = decay
        self.values = {name: value.clone() for name, value in state.items()}

    @torch.no_grad()
    def update(self, state: Mapping[str, Tensor]) -> None:
        """One step; what is no number to be averaged (the positions of masked weights) does not change in training."""
        for name, value in self.values.items():
            if value.is_floating_point():
                value.lerp_(state[name], 1 - self.decay)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from saved `values`."""
        for name, value in self.values.items():
            value.copy_(state[name])
