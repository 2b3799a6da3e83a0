"""peft=mask_magnitude: the single weights with the largest gradients."""

from dataclasses import dataclass

from torch import Tensor

from peftlab.option import PositiveInt
from peftlab.peft.mask.gradient_score import gradient_score
from peftlab.peft.mask.mask import Entries
from peftlab.peft.weights import Weight, Weights


@dataclass(frozen=True, kw_only=True)
class MaskMagnitude(Entries):
    """The largest sum_n |dL(x_n, y_n)/dw| of all placed weights together, at the start.

    Source: the code of Sung et al. 2021, arXiv:2111.09839 (`label-absolute`).
    """

    num_samples: PositiveInt

    def scores(self, weights: Weights, candidates: list[Weight]) -> list[Tensor]:
        """sum_n |g_n|."""
        return gradient_score(candidates, weights.gradients(self.num_samples), "magnitude")
