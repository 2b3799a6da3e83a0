"""peft=bitfit: only the bias vectors."""

from dataclasses import dataclass

from peftlab.errors import UserError
from peftlab.peft.selection import Selection
from peftlab.peft.weights import Chosen, Weights


@dataclass(frozen=True, kw_only=True)
class Bitfit(Selection):
    """The biases of the placed sites (LayerNorm's beta is one); with `outside_blocks` also the patch embedding's and
    the last norm's.

    Source: Ben Zaken et al. 2022, arXiv:2106.10199.
    """

    outside_blocks: bool

    def choose(self, weights: Weights) -> Chosen:
        """The chosen weights.

        Raises:
            UserError: if there is none.
        """
        candidates = weights.candidates(self.outside_blocks)
        biases = [weight for weight in candidates if weight.name.endswith("bias")]
        if not biases:
            raise UserError(
                "placement: no module of the chosen sites has a bias, so peft=bitfit would train nothing; choose other positions"
            )
        return [(weight, None) for weight in biases]
