"""peft=layernorm: only the layer norms."""

import re
from dataclasses import dataclass

from peftlab.errors import UserError
from peftlab.peft.selection import Selection
from peftlab.peft.weights import Chosen, Weights

NORM = re.compile(r"norm|\bln_", re.IGNORECASE)  # norm1, LayerNorm, self_attn_layer_norm, ln_1


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Selection):
    """Scale and bias of the norms of the placed sites; with `outside_blocks` also of the norms outside the blocks.

    Source: Basu et al. 2024 (strong baselines for PEFT few-shot), arXiv:2304.01917; LIFT's ln_tuning.
    """

    outside_blocks: bool

    def choose(self, weights: Weights) -> Chosen:
        """The chosen weights.

        Raises:
            UserError: if there is none.
        """
        candidates = weights.candidates(self.outside_blocks)
        norms = [weight for weight in candidates if NORM.search(weight.name)]
        if not norms:
            raise UserError(
                "placement: the chosen sites have no layer norm, so peft=layernorm would train nothing; legal: norm1, norm2"
            )
        return [(weight, None) for weight in norms]
