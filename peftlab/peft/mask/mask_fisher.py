"""peft=mask_fisher: the single weights with the largest Fisher information."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from peftlab.option import PositiveInt
from peftlab.peft.mask.gradient_score import gradient_score
from peftlab.peft.mask.mask import Entries
from peftlab.peft.weights import Weight, Weights


@dataclass(frozen=True, kw_only=True)
class MaskFisher(Entries):
    """empirical: sum_n (dL(x_n, y_n)/dw)^2; expected: sum_n sum_y p(y|x_n) (d log p(y|x_n)/dw)^2, one backward per class.

    The best of all placed weights together, at the weights and the head that training starts with. L is the run's own
    loss, and p the softmax of the logits whatever the loss.

    Source: Sung et al. 2021, arXiv:2111.09839 (in its code `label-square` and `expect-square`).
    """

    num_samples: PositiveInt
    fisher: Literal["empirical", "expected"]

    def scores(self, weights: Weights, candidates: list[Weight]) -> list[Tensor]:
        """The diagonal of the Fisher information, times the number of samples."""
        gradients = weights.gradients if self.fisher == "empirical" else weights.class_gradients
        return gradient_score(candidates, gradients(self.num_samples), "fisher")
